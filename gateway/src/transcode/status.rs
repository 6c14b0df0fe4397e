//! A gRPC status to HTTP: the code's HTTP status, and `google.rpc.Status` as JSON.

use http::StatusCode;
use prost::Message as _;
use tonic::{Code, Status};

use crate::json::{GOOGLE_RPC, Settings, Types, Writer};

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

/// Writes `{"code", "message", "details"}`; `types` are those of the service that failed.
pub(crate) fn status_json(status: &Status, types: Option<&Types>) -> Vec<u8> {
    let sent = tonic_types::Status::decode(status.details()).unwrap_or_default();
    let details: Vec<Vec<u8>> = sent.details.iter().map(|any| detail(any, types)).collect();
    let message = serde_json::Value::from(status.message());
    let begin = format!("{{\"code\":{},\"message\":{message},\"details\":[", i32::from(status.code()));
    [begin.as_bytes(), &details.join(&b","[..]), b"]}"].concat()
}

/// Writes the same with its `@type`, so that it can be told from the messages that it comes after.
pub(crate) fn typed_status_json(status: &Status, types: Option<&Types>) -> Vec<u8> {
    let plain = status_json(status, types);
    [br#"{"@type":"type.googleapis.com/google.rpc.Status","#, &plain[1..]].concat()
}

/// Writes one detail by its type, or its bytes in base64 if nobody knows the type, or they are none of it.
fn detail(any: &prost_types::Any, types: Option<&Types>) -> Vec<u8> {
    let settings = Settings { always_print_fields_with_no_presence: false, ..Settings::default() };
    let writer = |types| Writer::new(types, settings, any.value.len());
    let written = writer(types.unwrap_or(&GOOGLE_RPC)).any(&any.type_url, &any.value);
    written.unwrap_or_else(|_| writer(&GOOGLE_RPC).bytes(&any.type_url, &any.value))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value as Json, json};
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
