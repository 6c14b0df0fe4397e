//! `google.protobuf.Any`: an object that says by its `@type` what its other keys are.

use std::borrow::Cow;

use crate::json::{
    cursor::{Cursor, Word},
    read::{Reader, Seen, Wrong},
    scalar::quoted,
    types::{GOOGLE_RPC, Layout, Types},
    wire::DEEPEST,
};

const TYPE: &str = "@type";
const VALUE: &str = "value";

impl<'t> Reader<'t, '_, '_> {
    /// Reads an `Any`; an object without keys is an empty one.
    pub(crate) fn any(&mut self, layout: &'t Layout, depth: usize) -> Result<(), Wrong> {
        self.begin(&Word::Object, "an object")?;
        let Some(url) = type_url(self.cursor.clone())? else {
            return match self.cursor.key(&mut true)? {
                None => Ok(()),
                Some(_) => Err(Wrong::value("is missing: it says what the message is").inside(TYPE)),
            };
        };
        let name = url.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty());
        let own = self.types;
        let (types, inner) = name.and_then(|name| find(own, name)).ok_or_else(|| {
            Wrong::value(format!("{} names no type that this service has", quoted(&url))).inside(TYPE)
        })?;
        self.encoder.bytes(layout.fields[0].number, url.as_bytes());
        let open = self.encoder.open(layout.fields[1].number);
        self.types = types;
        let read = self.typed(inner, depth + 1);
        self.types = own;
        read?;
        if self.encoder.is_empty(open) {
            self.encoder.cancel(open);
        } else {
            self.encoder.close(open);
        }
        Ok(())
    }

    /// Reads the keys but for the type, to the end of the object.
    fn typed(&mut self, layout: &'t Layout, depth: usize) -> Result<(), Wrong> {
        if depth > DEEPEST {
            return Err(Wrong::value(format!("it nests deeper than {DEEPEST}")));
        }
        let (mut seen, mut first, mut types, mut values) = (Seen::default(), true, 0, 0);
        // Of `Empty` some write a value, and some do not.
        let wrapped = layout.known.is_some() || layout.name == "google.protobuf.Empty";
        while let Some(key) = self.cursor.key(&mut first)? {
            match &*key {
                TYPE => {
                    types += 1;
                    self.cursor.skip()?;
                }
                VALUE if wrapped => {
                    values += 1;
                    self.nested(layout, depth).map_err(|wrong| wrong.inside(VALUE))?;
                }
                _ if wrapped && self.lenient => self.cursor.skip()?,
                _ if wrapped => return Err(Wrong::value("there is no such field").inside(key)),
                _ => self.entry(layout, key, &mut seen, depth)?,
            }
        }
        match (types, values, layout.known) {
            (2.., _, _) => Err(Wrong::value("is given more than once").inside(TYPE)),
            (_, 2.., _) => Err(Wrong::value("is given more than once").inside(VALUE)),
            (_, 0, Some(_)) => Err(Wrong::value("is missing").inside(VALUE)),
            _ => Ok(()),
        }
    }
}

fn find<'t>(own: &'t Types, name: &str) -> Option<(&'t Types, &'t Layout)> {
    let found = own.find(name).map(|layout| (own, layout));
    found.or_else(|| GOOGLE_RPC.find(name).map(|layout| (&*GOOGLE_RPC, layout)))
}

/// Looks ahead for the type in an object that has begun.
fn type_url(mut ahead: Cursor<'_>) -> Result<Option<Cow<'_, str>>, Wrong> {
    let mut first = true;
    while let Some(key) = ahead.key(&mut first)? {
        if key != TYPE {
            ahead.skip()?;
            continue;
        }
        return match ahead.word()? {
            Word::Text(url) => Ok(Some(url)),
            _ => Err(Wrong::value("is no text").inside(TYPE)),
        };
    }
    Ok(None)
}
