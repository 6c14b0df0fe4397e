//! How a service's JSON is written and read, as its owner or the operator wants it.

use prost_reflect::{DynamicMessage, ServiceDescriptor, Value};

use crate::config::{JsonFormat, JsonFormats};

/// The option of `gateway/proto/selvedge/gateway/v1/json.proto`.
const OPTION: &str = "selvedge.gateway.v1.json";

/// What holds for the methods of one gRPC service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings {
    /// Unknown query parameters, fields and names of enums are passed over.
    pub(crate) ignore_unknown_fields: bool,
    /// Zero values of fields that know no absence are written.
    pub(crate) always_print_fields_with_no_presence: bool,
    /// Keys are the names in the proto.
    pub(crate) preserve_proto_field_names: bool,
    /// Enums are numbers.
    pub(crate) always_print_enums_as_ints: bool,
    /// Metadata of answers is written as `grpc-metadata-*`.
    pub(crate) response_metadata: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ignore_unknown_fields: false,
            always_print_fields_with_no_presence: true,
            preserve_proto_field_names: false,
            always_print_enums_as_ints: false,
            response_metadata: false,
        }
    }
}

impl Settings {
    /// Returns what holds for a service: what the operator says, else what its descriptor says, else the defaults.
    pub(crate) fn of(service: &ServiceDescriptor, formats: &JsonFormats) -> Self {
        let own = option(service).map(|option| format(&option)).unwrap_or_default();
        let all = formats.get("*").copied().unwrap_or_default();
        let named = formats.get(service.full_name()).copied().unwrap_or_default();
        [own, all, named].into_iter().fold(Self::default(), Self::with)
    }

    fn with(self, format: JsonFormat) -> Self {
        Self {
            ignore_unknown_fields: format.ignore_unknown_fields.unwrap_or(self.ignore_unknown_fields),
            always_print_fields_with_no_presence: format
                .always_print_fields_with_no_presence
                .unwrap_or(self.always_print_fields_with_no_presence),
            preserve_proto_field_names: format.preserve_proto_field_names.unwrap_or(self.preserve_proto_field_names),
            always_print_enums_as_ints: format.always_print_enums_as_ints.unwrap_or(self.always_print_enums_as_ints),
            response_metadata: format.response_metadata.unwrap_or(self.response_metadata),
        }
    }
}

fn option(service: &ServiceDescriptor) -> Option<DynamicMessage> {
    let extension = service.parent_pool().get_extension_by_name(OPTION)?;
    let options = service.options();
    let set = options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned());
    set.and_then(|value| value.as_message().cloned())
}

fn format(option: &DynamicMessage) -> JsonFormat {
    let flag = |name: &str| option.get_field_by_name(name).filter(|_| option.has_field_by_name(name));
    let flag = |name: &str| flag(name).and_then(|value| Value::as_bool(&value));
    JsonFormat {
        ignore_unknown_fields: flag("ignore_unknown_fields"),
        always_print_fields_with_no_presence: flag("always_print_fields_with_no_presence"),
        preserve_proto_field_names: flag("preserve_proto_field_names"),
        always_print_enums_as_ints: flag("always_print_enums_as_ints"),
        response_metadata: flag("response_metadata"),
    }
}
