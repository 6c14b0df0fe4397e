//! JSON to the bytes of a message (protobuf.dev, "ProtoJSON Format"), without a message in between.
//!
//! A field is given once, in either spelling, and of a oneof one field is. `null` is a field that is not there.

mod any;
mod known;

use std::borrow::Cow;

use crate::json::{
    cursor::{Bad, Cursor, Word},
    encoder::Encoder,
    scalar::{self, Not, Scalar, quoted},
    types::{Field, Layout, Repeat, Shape, Types},
    wire::DEEPEST,
};

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A value fits no field, or not its own.
    Value {
        /// What leads to the field, the innermost first: names of the proto, keys of maps, and places in lists as `[0]`.
        path: Vec<String>,
        why: String,
    },
    /// It is no JSON.
    Syntax { path: Vec<String>, bad: Bad },
}

impl Wrong {
    pub(crate) fn value(why: impl Into<String>) -> Self {
        Self::Value { path: Vec::new(), why: why.into() }
    }

    /// Adds what leads to where it is wrong.
    pub(crate) fn inside(mut self, step: impl Into<String>) -> Self {
        let (Self::Value { path, .. } | Self::Syntax { path, .. }) = &mut self;
        path.push(step.into());
        self
    }

    /// Returns the path, the outermost first.
    pub(crate) fn path(&self) -> String {
        let (Self::Value { path, .. } | Self::Syntax { path, .. }) = self;
        let mut text = String::new();
        for step in path.iter().rev() {
            if !text.is_empty() && !step.starts_with('[') {
                text.push('.');
            }
            text.push_str(step);
        }
        text
    }
}

impl From<Bad> for Wrong {
    fn from(bad: Bad) -> Self {
        Self::Syntax { path: Vec::new(), bad }
    }
}

/// A text that is being read.
#[derive(Debug)]
pub(crate) struct Reader<'t, 'j, 'e> {
    types: &'t Types,
    /// Whether what is unknown is passed over.
    lenient: bool,
    cursor: Cursor<'j>,
    encoder: &'e mut Encoder,
}

/// The fields of one object that were given.
#[derive(Debug, Default)]
struct Seen {
    few: u64,
    more: Vec<usize>,
    /// The field that was given of each oneof.
    chosen: Vec<(usize, usize)>,
}

impl<'t, 'j, 'e> Reader<'t, 'j, 'e> {
    pub(crate) fn new(types: &'t Types, lenient: bool, text: &'j str, encoder: &'e mut Encoder) -> Self {
        Self { types, lenient, cursor: Cursor::new(text), encoder }
    }

    /// Reads a message, which is all of the text.
    pub(crate) fn message(mut self, layout: &'t Layout) -> Result<(), Wrong> {
        self.nested(layout, 1)?;
        Ok(self.cursor.end()?)
    }

    /// Reads the value of one field of a message, which is all of the text; tells whether it was given.
    pub(crate) fn field(mut self, field: &'t Field) -> Result<bool, Wrong> {
        let given = self.values(field, 1).and_then(|given| self.cursor.end().map(|()| given).map_err(Wrong::from));
        given.map_err(|wrong| wrong.inside(&field.name))
    }

    fn nested(&mut self, layout: &'t Layout, depth: usize) -> Result<(), Wrong> {
        if depth > DEEPEST {
            return Err(Wrong::value(format!("it nests deeper than {DEEPEST}")));
        }
        if let Some(known) = layout.known {
            return self.known(known, layout, depth);
        }
        self.begin(&Word::Object, "an object")?;
        let (mut seen, mut first) = (Seen::default(), true);
        while let Some(key) = self.cursor.key(&mut first)? {
            self.entry(layout, key, &mut seen, depth)?;
        }
        Ok(())
    }

    /// Reads the value of a key of an object.
    fn entry(&mut self, layout: &'t Layout, key: Cow<'j, str>, seen: &mut Seen, depth: usize) -> Result<(), Wrong> {
        let Some(place) = layout.place(&key) else {
            if self.lenient {
                return Ok(self.cursor.skip()?);
            }
            return Err(Wrong::value("there is no such field").inside(key));
        };
        let field = &layout.fields[place];
        let given =
            if seen.insert(place) { self.values(field, depth) } else { Err(Wrong::value("is given more than once")) };
        let given = given.map_err(|wrong| wrong.inside(&field.name))?;
        if let Some(choice) = field.choice.filter(|_| given) {
            if let Some((_, other)) = seen.chosen.iter().find(|(chosen, _)| *chosen == choice) {
                let other = &layout.fields[*other].name;
                return Err(Wrong::value(format!("cannot be given together with {other}")).inside(&field.name));
            }
            seen.chosen.push((choice, place));
        }
        Ok(())
    }

    /// Reads what a field is given; false if that is nothing.
    fn values(&mut self, field: &'t Field, depth: usize) -> Result<bool, Wrong> {
        let is_null = self.cursor.peek() == Some(b'n');
        if is_null && !(field.repeat == Repeat::Single && self.takes_null(field.shape)) {
            self.cursor.word()?;
            return Ok(false);
        }
        match field.repeat {
            Repeat::Single => self.single(field, depth),
            Repeat::List { packed } => self.list(field, packed, depth).map(|()| true),
            Repeat::Map(key) => self.map(field, key, depth).map(|()| true),
        }
    }

    /// Tells whether `null` is a value.
    fn takes_null(&self, shape: Shape) -> bool {
        match shape {
            Shape::Null => true,
            Shape::Message(place) => self.types.message(place).known == Some(crate::json::known::Known::Value),
            _ => false,
        }
    }

    fn single(&mut self, field: &'t Field, depth: usize) -> Result<bool, Wrong> {
        if let Shape::Message(place) = field.shape {
            self.framed(field, place, depth)?;
            return Ok(true);
        }
        let Some(scalar) = self.scalar(field.shape)? else { return Ok(false) };
        if field.presence || !scalar.is_zero() {
            self.encoder.scalar(field.number, &scalar);
        }
        Ok(true)
    }

    /// Reads a message that stands in a field.
    fn framed(&mut self, field: &Field, place: usize, depth: usize) -> Result<(), Wrong> {
        let open = self.encoder.open_field(field);
        self.nested(self.types.message(place), depth + 1)?;
        self.encoder.close(open);
        Ok(())
    }

    fn list(&mut self, field: &'t Field, packed: bool, depth: usize) -> Result<(), Wrong> {
        self.begin(&Word::List, "a list")?;
        let open = packed.then(|| self.encoder.open(field.number));
        let (mut first, mut index) = (true, 0_usize);
        while self.cursor.element(&mut first)? {
            self.element(field, packed, depth).map_err(|wrong| wrong.inside(format!("[{index}]")))?;
            index += 1;
        }
        match open {
            Some(open) if self.encoder.is_empty(open) => self.encoder.cancel(open),
            Some(open) => self.encoder.close(open),
            None => {}
        }
        Ok(())
    }

    fn element(&mut self, field: &'t Field, packed: bool, depth: usize) -> Result<(), Wrong> {
        if let Shape::Message(place) = field.shape {
            return self.framed(field, place, depth);
        }
        match self.scalar(field.shape)? {
            Some(scalar) if packed => self.encoder.packed(&scalar),
            Some(scalar) => self.encoder.scalar(field.number, &scalar),
            None => {}
        }
        Ok(())
    }

    fn map(&mut self, field: &'t Field, key: Shape, depth: usize) -> Result<(), Wrong> {
        self.begin(&Word::Object, "an object")?;
        let mut first = true;
        while let Some(text) = self.cursor.key(&mut first)? {
            let parsed = scalar::of_text(self.types, key, Cow::Borrowed(&text));
            let parsed = parsed.map_err(|not| Wrong::value(format!("its key {}", reason(not))))?;
            let open = self.encoder.open(field.number);
            self.encoder.scalar(1, &parsed);
            let given = self.map_value(field.shape, depth + 1).map_err(|wrong| wrong.inside(text))?;
            if given {
                self.encoder.close(open);
            } else {
                self.encoder.cancel(open);
            }
        }
        Ok(())
    }

    /// Reads the value of an entry of a map; false if it is passed over.
    fn map_value(&mut self, shape: Shape, depth: usize) -> Result<bool, Wrong> {
        if let Shape::Message(place) = shape {
            let open = self.encoder.open(2);
            self.nested(self.types.message(place), depth + 1)?;
            self.encoder.close(open);
            return Ok(true);
        }
        let Some(scalar) = self.scalar(shape)? else { return Ok(false) };
        self.encoder.scalar(2, &scalar);
        Ok(true)
    }

    /// Reads a value that is no message; nothing for a name of an enum that is passed over.
    fn scalar(&mut self, shape: Shape) -> Result<Option<Scalar<'j>>, Wrong> {
        let word = self.cursor.word()?;
        match scalar::of_word(self.types, shape, word) {
            Ok(scalar) => Ok(Some(scalar)),
            Err(Not::Named(_)) if self.lenient => Ok(None),
            Err(not) => Err(Wrong::value(reason(not))),
        }
    }

    /// Reads the bracket that a value begins with.
    fn begin(&mut self, bracket: &Word<'_>, wanted: &str) -> Result<(), Wrong> {
        let word = self.cursor.word()?;
        if word == *bracket { Ok(()) } else { Err(Wrong::value(format!("{} is not {wanted}", name(&word)))) }
    }
}

impl Seen {
    /// Adds a field; false if it was there.
    fn insert(&mut self, place: usize) -> bool {
        if let Some(bit) = u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)) {
            let new = self.few & bit == 0;
            self.few |= bit;
            return new;
        }
        match self.more.binary_search(&place) {
            Ok(_) => false,
            Err(at) => {
                self.more.insert(at, place);
                true
            }
        }
    }
}

fn reason(not: Not) -> String {
    match not {
        Not::Fits(why) | Not::Named(why) => why,
    }
}

/// Says what was found where something else was wanted.
fn name(word: &Word<'_>) -> String {
    match word {
        Word::Null => "null".to_owned(),
        Word::Bool(value) => value.to_string(),
        Word::Number(_) => "a number".to_owned(),
        Word::Text(text) => quoted(text),
        Word::Object => "an object".to_owned(),
        Word::List => "a list".to_owned(),
    }
}
