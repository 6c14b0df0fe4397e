//! The metadata of an answer, for the clients of REST that ask for it.

use http::{HeaderMap, HeaderName, Response};
use tonic::{Status, body::Body, metadata::MetadataMap};

use crate::{metadata, schema::Binding};

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Whether metadata is told, and whether the client has asked for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    is_told: bool,
    is_preferred: bool,
}

impl Metadata {
    pub(crate) fn of(headers: &HeaderMap, binding: &Binding) -> Self {
        let is_preferred = metadata::is_preferred(headers);
        Self { is_told: is_preferred || binding.method.json.settings.response_metadata, is_preferred }
    }

    /// Adds headers or trailers of a service to an answer, if they are told.
    pub(crate) fn add(self, answer: &mut Response<Body>, metadata: &HeaderMap) {
        if self.is_told {
            for (name, value) in &metadata::prefixed(metadata) {
                answer.headers_mut().append(name, value.clone());
            }
        }
    }

    /// Adds the headers of an answer to the error that it ended with, so that both are told.
    pub(crate) fn joined(self, mut error: Status, headers: &HeaderMap) -> Status {
        if self.is_told {
            let mut all = headers.clone();
            all.extend(std::mem::take(error.metadata_mut()).into_headers());
            *error.metadata_mut() = MetadataMap::from_headers(all);
        }
        error
    }

    /// Says that a preference was met (RFC 7240 section 3).
    pub(crate) fn told(self, mut answer: Response<Body>) -> Response<Body> {
        if self.is_preferred {
            answer.headers_mut().insert(APPLIED, metadata::PREFERENCE);
        }
        answer
    }
}
