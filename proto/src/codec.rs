//! How messages are written and read: a request that cannot be read is its caller's mistake, and says which field.
//!
//! Tonic's own codec answers INTERNAL for both directions, which tells callers that the service is broken.

use std::{collections::HashMap, marker::PhantomData};

use prost::{DecodeError, Message, Name};
use tonic::{
    Code, Status,
    codec::{DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;
use tonic_types::{ErrorDetails, StatusExt as _};

/// What the name of every request ends with (`buf lint`, RPC_REQUEST_STANDARD_NAME), and of no response.
const REQUEST: &str = "Request";

/// Protobuf, as the generated code of this crate writes and reads it.
#[derive(Clone, Copy, Debug)]
pub struct Codec<T, U> {
    messages: PhantomData<(T, U)>,
}

/// Reads messages.
#[derive(Clone, Copy, Debug)]
pub struct Reader<U> {
    message: PhantomData<U>,
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self { messages: PhantomData }
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Reader<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Reader { message: PhantomData }
    }
}

impl<U: Message + Name + Default> Decoder for Reader<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buf).map(Some).map_err(|error| refusal(&error, U::PACKAGE, U::NAME))
    }
}

/// Returns the status of a message that cannot be read: INVALID_ARGUMENT for a request, INTERNAL for a response.
fn refusal(error: &DecodeError, package: &str, name: &str) -> Status {
    let text = error.to_string();
    if !name.ends_with(REQUEST) {
        return Status::internal(text);
    }
    let (field, reason) = blamed(&text);
    let description = format!("cannot be read: {reason}");
    // The services' own errors have it too: `users.selvedge` of `selvedge.users.v1`.
    let domain = format!("{}.selvedge", package.split('.').nth(1).unwrap_or_default());
    let mut details = ErrorDetails::with_error_info("INVALID_FIELDS", domain, HashMap::new());
    details.add_bad_request_violation(field.as_str(), description.as_str());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {description}"), details)
}

/// Returns the path of the field that is wrong, and what is wrong with it.
///
/// The text names each message with its field, the innermost first: `…: User.email: CreateUserRequest.user: why`. If it
/// names none, the path is empty: it is the request as a whole.
fn blamed(text: &str) -> (String, &str) {
    let mut rest = text.split_once(": ").map_or(text, |(_, rest)| rest);
    let mut path = String::new();
    while let Some((place, behind)) = rest.split_once(": ") {
        let Some((_, field)) = place.split_once('.').filter(|_| !place.contains(' ')) else { break };
        path = if path.is_empty() { field.to_owned() } else { format!("{field}.{path}") };
        rest = behind;
    }
    (path, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::v1::{CreateUserRequest, GetUserRequest, User};

    fn refused<M: Message + Name + Default + std::fmt::Debug>(bytes: &[u8]) -> Status {
        refusal(&M::decode(bytes).unwrap_err(), M::PACKAGE, M::NAME)
    }

    #[test]
    fn a_request_that_cannot_be_read_names_its_field() {
        for (status, field, told) in [
            (refused::<GetUserRequest>(b"\x0a\x01\xff"), "name", "UTF-8"),
            (refused::<CreateUserRequest>(b"\x0a\x03\x1a\x01\xff"), "user.email", "UTF-8"),
            (refused::<GetUserRequest>(b"\x0a\x05abc"), "name", "underflow"),
            (refused::<GetUserRequest>(b"\xff"), "", "varint"),
        ] {
            assert_eq!(status.code(), Code::InvalidArgument);
            let details = status.get_error_details();
            let violation = &details.bad_request().unwrap().field_violations[0];
            assert_eq!(violation.field, field);
            assert!(violation.description.contains(told), "{violation:?}");
            let info = details.error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_FIELDS", "users.selvedge"));
        }
    }

    #[test]
    fn a_response_that_cannot_be_read_is_the_services_mistake() {
        assert_eq!(refused::<User>(b"\x0a\x01\xff").code(), Code::Internal);
    }
}
