//! A gRPC status to HTTP: the code's HTTP status, and `google.rpc.Status` as JSON.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Map, Value as Json, json};
use tonic::{Code, Status};

/// `google.rpc` error details, for services that do not send their descriptors.
static GOOGLE_RPC: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).expect("tonic-types carries a valid descriptor set")
});

/// The table of google/rpc/code.proto.
pub(crate) fn http_status(code: Code) -> StatusCode {
    let number = match code {
        Code::Ok => 200,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Cancelled => 499,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
    };
    StatusCode::from_u16(number).expect("the table holds HTTP statuses")
}

/// Writes `{"code", "message", "details"}`; `pool` knows the types of the service that failed.
pub(crate) fn status_json(status: &Status, pool: Option<&DescriptorPool>) -> Vec<u8> {
    let sent = tonic_types::Status::decode(status.details()).unwrap_or_default();
    let details: Vec<Json> = sent.details.iter().map(|any| detail(any, pool)).collect();
    let code = i32::from(status.code());
    json!({ "code": code, "message": status.message(), "details": details }).to_string().into_bytes()
}

/// Writes the same with its `@type`, so that it can be told from the messages that it comes after.
pub(crate) fn typed_status_json(status: &Status, pool: Option<&DescriptorPool>) -> Vec<u8> {
    let plain = status_json(status, pool);
    [br#"{"@type":"type.googleapis.com/google.rpc.Status","#, &plain[1..]].concat()
}

/// Writes one detail by its type, or its bytes in base64 if nobody knows the type.
fn detail(any: &prost_types::Any, pool: Option<&DescriptorPool>) -> Json {
    let written = decode(any, pool).and_then(|message| serde_json::to_value(message).ok());
    let mut object = match written {
        Some(Json::Object(object)) => object,
        Some(other) => Map::from_iter([("value".to_owned(), other)]),
        None => Map::from_iter([("value".to_owned(), Json::String(STANDARD.encode(&any.value)))]),
    };
    object.insert("@type".to_owned(), Json::String(any.type_url.clone()));
    Json::Object(object)
}

fn decode(any: &prost_types::Any, pool: Option<&DescriptorPool>) -> Option<DynamicMessage> {
    let name = any.type_url.rsplit('/').next()?;
    let known = pool.and_then(|pool| pool.get_message_by_name(name)).or_else(|| GOOGLE_RPC.get_message_by_name(name));
    DynamicMessage::decode(known?, any.value.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn every_code_has_the_status_of_the_table() {
        let statuses: Vec<u16> = (0..=16).map(|code| http_status(Code::from_i32(code)).as_u16()).collect();
        assert_eq!(statuses, [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]);
    }

    #[test]
    fn known_details_are_written_by_their_type() {
        let mut details = ErrorDetails::with_bad_request_violation("user.email", "has no @");
        details.set_retry_info(Some(Duration::from_millis(1500)));
        details.set_resource_info("user", "users/ann", "", "gone");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        let json: Json = serde_json::from_slice(&status_json(&status, None)).unwrap();
        assert_eq!(json["code"], 3);
        let details = json["details"].as_array().unwrap();
        let of = |name: &str| details.iter().find(|d| d["@type"] == format!("type.googleapis.com/google.rpc.{name}"));
        assert_eq!(of("BadRequest").unwrap()["fieldViolations"][0]["field"], "user.email");
        assert_eq!(of("RetryInfo").unwrap()["retryDelay"], "1.500s");
        assert_eq!(of("ResourceInfo").unwrap()["resourceName"], "users/ann");
    }

    #[test]
    fn an_unknown_detail_keeps_its_bytes() {
        let any = prost_types::Any { type_url: "type.googleapis.com/a.B".into(), value: vec![1, 2, 3] };
        let sent = tonic_types::Status { code: 13, message: "m".into(), details: vec![any] };
        let status = Status::with_details(Code::Internal, "m", sent.encode_to_vec().into());
        let json: Json = serde_json::from_slice(&status_json(&status, None)).unwrap();
        assert_eq!(json["details"], json!([{ "@type": "type.googleapis.com/a.B", "value": "AQID" }]));
    }
}
