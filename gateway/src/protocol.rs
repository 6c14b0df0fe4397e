//! Which protocol a request speaks, by its content type; one file each, decoding and encoding side by side.

pub(crate) mod grpc;
pub(crate) mod grpc_web;
pub(crate) mod rest;

pub(crate) mod base64_text;
pub(crate) mod messages;

use http::{HeaderMap, header::CONTENT_TYPE};

/// The protocol of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// gRPC over HTTP/2, in any codec: its messages are not looked into.
    Grpc,
    /// gRPC-Web with binary frames.
    GrpcWeb,
    /// gRPC-Web with frames in base64.
    GrpcWebText,
    /// gRPC-Web in a codec that is not known here.
    GrpcWebOther,
    /// Anything else.
    Rest,
}

impl Protocol {
    /// Returns the protocol of a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers.get(CONTENT_TYPE).map_or(Self::Rest, |value| Self::of_media_type(value.as_bytes()))
    }

    /// Returns the protocol that a media type belongs to, whatever its parameters.
    pub(crate) fn of_media_type(value: &[u8]) -> Self {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match essence.as_slice() {
            b"application/grpc-web" | b"application/grpc-web+proto" => Self::GrpcWeb,
            b"application/grpc-web-text" | b"application/grpc-web-text+proto" => Self::GrpcWebText,
            other if other.starts_with(b"application/grpc-web") => Self::GrpcWebOther,
            b"application/grpc" => Self::Grpc,
            other if other.starts_with(b"application/grpc+") => Self::Grpc,
            _ => Self::Rest,
        }
    }

    /// Returns the name for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb | Self::GrpcWebText | Self::GrpcWebOther => "grpc-web",
            Self::Rest => "rest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_says_the_protocol() {
        for (text, wanted) in [
            ("application/grpc", Protocol::Grpc),
            ("Application/gRPC+proto; x=y", Protocol::Grpc),
            ("application/grpc+json", Protocol::Grpc),
            ("application/grpc-web", Protocol::GrpcWeb),
            ("application/grpc-web+proto;charset=utf-8", Protocol::GrpcWeb),
            ("application/grpc-web-text", Protocol::GrpcWebText),
            ("application/grpc-web-text+proto", Protocol::GrpcWebText),
            ("application/grpc-web+json", Protocol::GrpcWebOther),
            ("application/json", Protocol::Rest),
            ("application/grpcish", Protocol::Rest),
            ("", Protocol::Rest),
        ] {
            assert_eq!(Protocol::of_media_type(text.as_bytes()), wanted, "{text}");
        }
    }
}
