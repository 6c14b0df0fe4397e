//! What can be selected at each endpoint, and what may be asked of it.

use crate::filter::grammar::Operator;

/// A kind of value, as Consul's own types have it; the JSON may leave out what is empty.
#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Number,
    Boolean,
    /// A list of texts.
    Texts,
    /// Any keys, all with values of one shape.
    Map(&'static Shape),
    Object(&'static [Field]),
    /// A list of objects: a match with one of them is a match.
    Objects(&'static [Field]),
}

type Field = (&'static str, Shape);

impl Shape {
    /// Whether an operator may be used on it.
    pub(crate) fn takes(&self, operator: Operator) -> bool {
        let compares = matches!(operator, Operator::Equal | Operator::NotEqual);
        let contains = matches!(operator, Operator::In | Operator::NotIn);
        let is_empty = matches!(operator, Operator::IsEmpty | Operator::IsNotEmpty);
        match self {
            Self::Text => !is_empty,
            Self::Number | Self::Boolean => compares,
            Self::Texts | Self::Map(_) => contains || is_empty,
            Self::Objects(_) => is_empty,
            Self::Object(_) => false,
        }
    }

    /// Returns the shape of what a name selects in it.
    pub(crate) fn select(&self, name: &str) -> Option<&'static Shape> {
        match self {
            Self::Map(inner) => Some(inner),
            Self::Object(fields) | Self::Objects(fields) => {
                fields.iter().find(|(field, _)| *field == name).map(|(_, shape)| shape)
            }
            Self::Text | Self::Number | Self::Boolean | Self::Texts => None,
        }
    }
}

const TEXTS_BY_NAME: Shape = Shape::Map(&Shape::Text);
const ADDRESSES: Shape = Shape::Map(&Shape::Object(&[("Address", Shape::Text), ("Port", Shape::Number)]));
const WEIGHTS: Shape = Shape::Object(&[("Passing", Shape::Number), ("Warning", Shape::Number)]);
const CONNECT: Shape = Shape::Object(&[("Native", Shape::Boolean)]);
/// Instances here have no proxy; it can be asked about as in Consul, and is empty.
const PROXY: Shape = Shape::Object(&[
    ("Mode", Shape::Text),
    ("DestinationServiceName", Shape::Text),
    ("DestinationServiceID", Shape::Text),
    ("LocalServiceAddress", Shape::Text),
    ("LocalServicePort", Shape::Number),
    ("LocalServiceSocketPath", Shape::Text),
    ("Upstreams", Shape::Objects(&[("DestinationName", Shape::Text)])),
    ("MeshGateway", Shape::Object(&[("Mode", Shape::Text)])),
    ("Expose", Shape::Object(&[("Checks", Shape::Boolean), ("Paths", Shape::Objects(&[("Path", Shape::Text)]))])),
    ("TransparentProxy", Shape::Object(&[("DialedDirectly", Shape::Boolean)])),
    ("AccessLogs", Shape::Object(&[("Enabled", Shape::Boolean)])),
    ("EnvoyExtensions", Shape::Objects(&[("Name", Shape::Text)])),
]);

const NODE_FIELDS: &[Field] = &[
    ("ID", Shape::Text),
    ("Node", Shape::Text),
    ("Address", Shape::Text),
    ("Datacenter", Shape::Text),
    ("Partition", Shape::Text),
    ("PeerName", Shape::Text),
    ("TaggedAddresses", TEXTS_BY_NAME),
    ("Meta", TEXTS_BY_NAME),
];

const SERVICE_FIELDS: &[Field] = &[
    ("Kind", Shape::Text),
    ("ID", Shape::Text),
    ("Service", Shape::Text),
    ("Tags", Shape::Texts),
    ("Address", Shape::Text),
    ("TaggedAddresses", ADDRESSES),
    ("Meta", TEXTS_BY_NAME),
    ("Port", Shape::Number),
    ("SocketPath", Shape::Text),
    ("Weights", WEIGHTS),
    ("EnableTagOverride", Shape::Boolean),
    ("Proxy", PROXY),
    ("Connect", CONNECT),
    ("PeerName", Shape::Text),
];

const CHECK_FIELDS: &[Field] = &[
    ("Node", Shape::Text),
    ("CheckID", Shape::Text),
    ("Name", Shape::Text),
    ("Status", Shape::Text),
    ("Notes", Shape::Text),
    ("Output", Shape::Text),
    ("ServiceID", Shape::Text),
    ("ServiceName", Shape::Text),
    ("ServiceTags", Shape::Texts),
    ("Type", Shape::Text),
    ("Interval", Shape::Text),
    ("Timeout", Shape::Text),
    ("ExposedPort", Shape::Number),
    ("PeerName", Shape::Text),
];

/// `catalog/nodes`.
pub(crate) const NODE: Shape = Shape::Object(NODE_FIELDS);

/// `agent/services`, and within `catalog/node`.
pub(crate) const SERVICE: Shape = Shape::Object(SERVICE_FIELDS);

/// `agent/checks`, `health/checks`, `health/node`, `health/state`.
pub(crate) const CHECK: Shape = Shape::Object(CHECK_FIELDS);

/// `health/service`, `health/connect`.
pub(crate) const INSTANCE: Shape =
    Shape::Object(&[("Node", NODE), ("Service", SERVICE), ("Checks", Shape::Objects(CHECK_FIELDS))]);

/// `catalog/services`, `catalog/service`, `catalog/connect`.
pub(crate) const CATALOG_SERVICE: Shape = Shape::Object(&[
    ("ID", Shape::Text),
    ("Node", Shape::Text),
    ("Address", Shape::Text),
    ("Datacenter", Shape::Text),
    ("TaggedAddresses", TEXTS_BY_NAME),
    ("NodeMeta", TEXTS_BY_NAME),
    ("ServiceKind", Shape::Text),
    ("ServiceID", Shape::Text),
    ("ServiceName", Shape::Text),
    ("ServiceTags", Shape::Texts),
    ("ServiceAddress", Shape::Text),
    ("ServiceTaggedAddresses", ADDRESSES),
    ("ServiceWeights", WEIGHTS),
    ("ServiceMeta", TEXTS_BY_NAME),
    ("ServicePort", Shape::Number),
    ("ServiceSocketPath", Shape::Text),
    ("ServiceEnableTagOverride", Shape::Boolean),
    ("ServiceProxy", PROXY),
    ("ServiceConnect", CONNECT),
    ("PeerName", Shape::Text),
]);

/// `agent/members`.
pub(crate) const MEMBER: Shape = Shape::Object(&[
    ("Name", Shape::Text),
    ("Port", Shape::Number),
    ("Tags", TEXTS_BY_NAME),
    ("Status", Shape::Number),
    ("ProtocolMin", Shape::Number),
    ("ProtocolMax", Shape::Number),
    ("ProtocolCur", Shape::Number),
    ("DelegateMin", Shape::Number),
    ("DelegateMax", Shape::Number),
    ("DelegateCur", Shape::Number),
]);
