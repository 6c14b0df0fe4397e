//! What descriptors say of messages, in the shape in which messages are read and written: made once of each type, when
//! it is met first.

use std::{
    collections::HashMap,
    fmt,
    sync::{LazyLock, OnceLock},
};

use prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Syntax,
};

use crate::json::known::Known;

/// Types that every service may answer in details of errors and in `Any`, though its descriptors lack them.
pub(crate) static GOOGLE_RPC: LazyLock<Types> = LazyLock::new(|| {
    let set = tonic_types::pb::FILE_DESCRIPTOR_SET;
    Types::new(&DescriptorPool::decode(set).expect("tonic-types carries a valid descriptor set"))
});

/// The types of one pool.
pub(crate) struct Types {
    messages: Vec<(MessageDescriptor, OnceLock<Layout>)>,
    enums: Vec<(EnumDescriptor, OnceLock<Names>)>,
    /// The place of a message or an enum, by its full name.
    places: HashMap<String, usize>,
}

/// What is known of a message type.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) name: String,
    /// The form in JSON that its fields do not give.
    pub(crate) known: Option<Known>,
    /// By number.
    pub(crate) fields: Vec<Field>,
    /// The place of a field, by its name in JSON and in the proto.
    names: HashMap<String, usize>,
    /// How many oneofs have more than one field.
    pub(crate) choices: usize,
}

/// One field, or one extension that the pool knows.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// The name in the proto.
    pub(crate) name: String,
    /// The key in JSON with its quotes and its colon, and the one with the proto's name.
    pub(crate) keys: [String; 2],
    pub(crate) repeat: Repeat,
    /// Of a map, that of its values.
    pub(crate) shape: Shape,
    /// Whether absent and zero are two things.
    pub(crate) presence: bool,
    /// Which of the oneofs with more than one field it is in.
    pub(crate) choice: Option<usize>,
    /// Whether its messages stand between two tags rather than behind a length.
    pub(crate) group: bool,
    pub(crate) extension: bool,
}

/// How often a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Single,
    List {
        packed: bool,
    },
    /// With keys of this shape.
    Map(Shape),
}

/// What one value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    /// `google.protobuf.NullValue`.
    Null,
    /// With its place among the enums.
    Enum(usize),
    /// With its place among the messages.
    Message(usize),
}

/// The names of an enum's numbers.
#[derive(Debug)]
pub(crate) struct Names {
    /// The first name of each number.
    pub(crate) by_number: HashMap<i32, String>,
    pub(crate) by_name: HashMap<String, i32>,
    /// In the order of their declaration.
    pub(crate) all: Vec<String>,
    /// The value of a field that is not there.
    pub(crate) default: i32,
    /// Whether it has no other numbers: those of the wire are unknown fields then (protobuf.dev, "Enum Behavior").
    pub(crate) closed: bool,
}

impl Types {
    pub(crate) fn new(pool: &DescriptorPool) -> Self {
        let messages: Vec<_> = pool.all_messages().map(|message| (message, OnceLock::new())).collect();
        let enums: Vec<_> = pool.all_enums().map(|descriptor| (descriptor, OnceLock::new())).collect();
        let messages_at = messages.iter().enumerate().map(|(place, (message, _))| (message.full_name(), place));
        let enums_at = enums.iter().enumerate().map(|(place, (descriptor, _))| (descriptor.full_name(), place));
        let places = messages_at.chain(enums_at).map(|(name, place)| (name.to_owned(), place)).collect();
        Self { messages, enums, places }
    }

    /// Returns the layout of a message, by its full name.
    pub(crate) fn find(&self, name: &str) -> Option<&Layout> {
        self.place(name).map(|place| self.message(place))
    }

    /// Returns the place of a message, by its full name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        let place = *self.places.get(name)?;
        self.messages.get(place).is_some_and(|(message, _)| message.full_name() == name).then_some(place)
    }

    pub(crate) fn message(&self, place: usize) -> &Layout {
        let (message, layout) = &self.messages[place];
        layout.get_or_init(|| self.layout(message))
    }

    pub(crate) fn names(&self, place: usize) -> &Names {
        let (descriptor, names) = &self.enums[place];
        names.get_or_init(|| Names::new(descriptor))
    }

    fn layout(&self, message: &MessageDescriptor) -> Layout {
        let mut choices = HashMap::new();
        let own = message.fields().map(|field| {
            let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic() && oneof.fields().len() > 1);
            let next = choices.len();
            let choice = oneof.map(|oneof| *choices.entry(oneof.name().to_owned()).or_insert(next));
            Field { choice, ..self.field(&field) }
        });
        let mut fields: Vec<Field> = own.chain(message.extensions().map(|field| self.extension(&field))).collect();
        fields.sort_by_key(|field| field.number);
        let mut names = HashMap::new();
        for spelling in [0, 1] {
            for (place, field) in fields.iter().enumerate() {
                let key = serde_json::from_str(field.keys[spelling].trim_end_matches(':')).expect("a key is a text");
                // Where one field's name in JSON is another's in the proto, JSON's counts.
                names.entry(key).or_insert(place);
            }
        }
        let known = Known::of(message);
        Layout { name: message.full_name().to_owned(), known, fields, names, choices: choices.len() }
    }

    fn field(&self, field: &FieldDescriptor) -> Field {
        let kind = field.kind();
        let (repeat, shape) = match &kind {
            Kind::Message(entry) if field.is_map() => {
                let key = self.shape(&entry.map_entry_key_field().kind());
                (Repeat::Map(key), self.shape(&entry.map_entry_value_field().kind()))
            }
            kind if field.is_list() => (Repeat::List { packed: field.is_packed() }, self.shape(kind)),
            kind => (Repeat::Single, self.shape(kind)),
        };
        Field {
            number: field.number(),
            name: field.name().to_owned(),
            keys: [field.json_name(), field.name()].map(key),
            repeat,
            shape,
            presence: field.supports_presence() && !field.is_list() && !field.is_map(),
            choice: None,
            group: field.is_group(),
            extension: false,
        }
    }

    fn extension(&self, field: &ExtensionDescriptor) -> Field {
        let list = field.cardinality() == Cardinality::Repeated;
        Field {
            number: field.number(),
            name: field.json_name().to_owned(),
            keys: [field.json_name(), field.json_name()].map(key),
            repeat: if list { Repeat::List { packed: field.is_packed() } } else { Repeat::Single },
            shape: self.shape(&field.kind()),
            presence: !list,
            choice: None,
            group: field.is_group(),
            extension: true,
        }
    }

    fn shape(&self, kind: &Kind) -> Shape {
        let place = |name: &str| self.places.get(name).copied().expect("a field's type is of its pool");
        match kind {
            Kind::Double => Shape::Double,
            Kind::Float => Shape::Float,
            Kind::Int32 => Shape::Int32,
            Kind::Int64 => Shape::Int64,
            Kind::Uint32 => Shape::Uint32,
            Kind::Uint64 => Shape::Uint64,
            Kind::Sint32 => Shape::Sint32,
            Kind::Sint64 => Shape::Sint64,
            Kind::Fixed32 => Shape::Fixed32,
            Kind::Fixed64 => Shape::Fixed64,
            Kind::Sfixed32 => Shape::Sfixed32,
            Kind::Sfixed64 => Shape::Sfixed64,
            Kind::Bool => Shape::Bool,
            Kind::String => Shape::String,
            Kind::Bytes => Shape::Bytes,
            Kind::Enum(null) if null.full_name() == "google.protobuf.NullValue" => Shape::Null,
            Kind::Enum(descriptor) => Shape::Enum(place(descriptor.full_name())),
            Kind::Message(message) => Shape::Message(place(message.full_name())),
        }
    }
}

impl Layout {
    /// Finds a field by its name in JSON or in the proto.
    pub(crate) fn named(&self, name: &str) -> Option<&Field> {
        self.place(name).map(|place| &self.fields[place])
    }

    /// Finds the place of a field by its name in JSON or in the proto.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Finds a field by its number; `near` is where it is looked for first.
    pub(crate) fn numbered(&self, number: u32, near: usize) -> Option<usize> {
        match self.fields.get(near) {
            Some(field) if field.number == number => Some(near),
            _ => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

impl Names {
    fn new(descriptor: &EnumDescriptor) -> Self {
        let (mut by_number, mut by_name, mut all) = (HashMap::new(), HashMap::new(), Vec::new());
        // Values by themselves come sorted by number: the first of the file is the first name.
        for value in &descriptor.enum_descriptor_proto().value {
            by_number.entry(value.number()).or_insert_with(|| value.name().to_owned());
            by_name.insert(value.name().to_owned(), value.number());
            all.push(value.name().to_owned());
        }
        let closed = is_closed(descriptor);
        Self { by_number, by_name, all, default: descriptor.default_value().number(), closed }
    }
}

/// The options of an enum, as far as they matter here.
#[derive(Clone, PartialEq, prost::Message)]
struct EnumOptions {
    #[prost(message, optional, tag = "7")]
    features: Option<EnumFeatures>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EnumFeatures {
    /// As `google.protobuf.FeatureSet.EnumType` has it: 1 is open, 2 is closed.
    #[prost(int32, optional, tag = "2")]
    enum_type: Option<i32>,
}

/// Tells whether an enum is closed: by its feature where it has one, which only files of an edition say, and else by the
/// syntax of its file.
fn is_closed(descriptor: &EnumDescriptor) -> bool {
    let options = EnumOptions::decode(descriptor.options().encode_to_vec().as_slice()).unwrap_or_default();
    match options.features.and_then(|features| features.enum_type) {
        Some(1) => false,
        Some(2) => true,
        _ => descriptor.parent_file().syntax() == Syntax::Proto2,
    }
}

fn key(name: &str) -> String {
    format!("{}:", serde_json::Value::from(name))
}

/// Not its types: those have no end where one holds itself.
impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Types").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}
