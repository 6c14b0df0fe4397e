//! What the operator says of the JSON of services.

use std::{collections::BTreeMap, str::FromStr};

/// How the JSON of one gRPC service is read and written. What is not said here is as the service's own option
/// `selvedge.gateway.v1.json` says, or else the default.
///
/// Names and meanings are those of protobuf's own options (`google/protobuf/util/json_util.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonFormat {
    /// Query parameters, fields and names of enums that the service does not know are passed over, and not refused.
    /// Default `false`.
    pub ignore_unknown_fields: Option<bool>,
    /// Answers have the zero values of fields that do not know absence: numbers, texts, lists, maps. Default `true`.
    pub always_print_fields_with_no_presence: Option<bool>,
    /// Answers have fields by their names in the proto (`display_name`); requests may have either, always. Default
    /// `false`.
    pub preserve_proto_field_names: Option<bool>,
    /// Answers have the numbers of enums; requests may have either, always. Default `false`.
    pub always_print_enums_as_ints: Option<bool>,
    /// Answers carry the service's metadata, headers and trailers, as `grpc-metadata-*`, though the client does not ask
    /// for it by `prefer: grpc-metadata`. Default `false`.
    pub response_metadata: Option<bool>,
}

/// By full name of the gRPC service; `*` for every one that is not named, or not in all.
pub type JsonFormats = BTreeMap<String, JsonFormat>;

/// Why a text says nothing of the JSON of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFormatError {
    /// There is no name of a service before a colon.
    #[error(
        "{0:?} is not of the form <gRPC service>:<setting>,<setting>, such as shop.v1.ShopService:ignore_unknown_fields"
    )]
    Form(String),
    /// There is no such setting.
    #[error(
        "{0:?} is no setting of JSON: there are ignore_unknown_fields, always_print_fields_with_no_presence, \
        preserve_proto_field_names, always_print_enums_as_ints and response_metadata"
    )]
    Setting(String),
    /// It is neither `true` nor `false`.
    #[error("{0} is {1:?}, and takes true or false")]
    Value(String, String),
}

impl FromStr for JsonFormat {
    type Err = JsonFormatError;

    /// Reads settings such as `ignore_unknown_fields,always_print_fields_with_no_presence=false`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut format = Self::default();
        for setting in text.split(',').map(str::trim) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, "true"));
            let field = match name {
                "ignore_unknown_fields" => &mut format.ignore_unknown_fields,
                "always_print_fields_with_no_presence" => &mut format.always_print_fields_with_no_presence,
                "preserve_proto_field_names" => &mut format.preserve_proto_field_names,
                "always_print_enums_as_ints" => &mut format.always_print_enums_as_ints,
                "response_metadata" => &mut format.response_metadata,
                other => return Err(JsonFormatError::Setting(other.to_owned())),
            };
            let parsed = value.parse().map_err(|_| JsonFormatError::Value(name.to_owned(), value.to_owned()))?;
            *field = Some(parsed);
        }
        Ok(format)
    }
}

/// Reads the name of a gRPC service, or `*`, and its settings: `shop.v1.ShopService:ignore_unknown_fields`.
///
/// # Errors
///
/// A text without a colon, a setting that there is none of, a value that is neither `true` nor `false`.
pub fn json_format(text: &str) -> Result<(String, JsonFormat), JsonFormatError> {
    let named = text.split_once(':').filter(|(service, _)| !service.trim().is_empty());
    let (service, settings) = named.ok_or_else(|| JsonFormatError::Form(text.to_owned()))?;
    Ok((service.trim().to_owned(), settings.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_each_with_its_value() {
        let text = "shop.v1.ShopService:ignore_unknown_fields, always_print_fields_with_no_presence=false";
        let wanted = JsonFormat {
            ignore_unknown_fields: Some(true),
            always_print_fields_with_no_presence: Some(false),
            ..JsonFormat::default()
        };
        assert_eq!(json_format(text).unwrap(), ("shop.v1.ShopService".to_owned(), wanted));
        assert_eq!(json_format("*:response_metadata=true").unwrap().1.response_metadata, Some(true));
    }

    #[test]
    fn what_is_no_setting_is_named() {
        for (text, wanted) in [
            ("ignore_unknown_fields", "is not of the form"),
            (":ignore_unknown_fields", "is not of the form"),
            ("a.B:emit_defaults", "\"emit_defaults\" is no setting"),
            ("a.B:", "\"\" is no setting"),
            ("a.B:response_metadata=yes", "response_metadata is \"yes\""),
        ] {
            let error = json_format(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
