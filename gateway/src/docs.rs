//! The documents of the mesh for people and generators, and the page that shows them: Swagger UI, served from here.

use std::sync::{Arc, LazyLock, Weak};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    request,
};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tonic::{Code, body::Body};

use crate::{descriptors, error::Failure, openapi, protocol::rest, schema::Schema};

/// What the page may do: nothing comes from, or goes to, another host. Swagger UI sets the widths of its columns in
/// attributes, and has its icons in `data:`.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Files of which the page consists.
static FILES: LazyLock<[(&str, File); 4]> = LazyLock::new(|| {
    let html = "text/html; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    [
        ("/docs", File::fixed(html, include_bytes!("../assets/docs/index.html"))),
        ("/docs/start.js", File::fixed(script, include_bytes!("../assets/docs/start.js"))),
        ("/docs/swagger-ui.css", File::fixed("text/css", include_bytes!("../assets/swagger-ui/swagger-ui.css"))),
        (
            "/docs/swagger-ui-bundle.js",
            File::fixed(script, include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js.gz")).packed(),
        ),
    ]
});

/// The documents of the schema of the moment, made when they are first asked for.
#[derive(Debug, Default)]
pub(crate) struct Docs {
    made: Mutex<Option<Arc<Made>>>,
}

#[derive(Debug)]
struct Made {
    of: Weak<Schema>,
    json: File,
    yaml: File,
    descriptors: File,
}

/// Something to download.
#[derive(Clone, Debug)]
struct File {
    body: Bytes,
    etag: HeaderValue,
    media_type: &'static str,
    is_packed: bool,
    /// Services that are not in it.
    left_out: Option<HeaderValue>,
}

impl Docs {
    /// Answers a reading request for a document or the page; nothing for any other path.
    pub(crate) async fn answer(&self, request: &request::Parts, schema: &Arc<Schema>) -> Option<Response<Body>> {
        let (path, headers) = (request.uri.path(), &request.headers);
        let file = match path {
            "/openapi.json" => self.made(schema).await.json.clone(),
            "/openapi.yaml" => self.made(schema).await.yaml.clone(),
            "/descriptor.binpb" => match wanted(request.uri.query()) {
                None => self.made(schema).await.descriptors.clone(),
                Some(service) => match descriptors::Set::of_service(schema, service) {
                    Some(set) => File::descriptors(set),
                    None => return Some(rest::refuse(&unknown(service), None)),
                },
            },
            "/docs/" => return Some(moved()),
            _ => FILES.iter().find(|(name, _)| *name == path)?.1.clone(),
        };
        Some(file.answer(headers))
    }

    /// Makes the documents off the threads that serve: a large schema takes a while. Others who ask wait for the same.
    async fn made(&self, schema: &Arc<Schema>) -> Arc<Made> {
        let mut made = self.made.lock().await;
        if let Some(known) = made.as_ref().filter(|made| std::ptr::eq(made.of.as_ptr(), Arc::as_ptr(schema))) {
            return Arc::clone(known);
        }
        let schema = Arc::clone(schema);
        let new = tokio::task::spawn_blocking(move || Arc::new(Made::of(&schema))).await;
        let new = new.expect("the documents of a linked schema can be written");
        *made = Some(Arc::clone(&new));
        new
    }
}

impl Made {
    fn of(schema: &Arc<Schema>) -> Self {
        let document = openapi::Document::of(schema);
        Self {
            // Keeps the address taken, so that no later schema is taken for this one.
            of: Arc::downgrade(schema),
            json: File::new("application/json", document.json),
            yaml: File::new("application/yaml", document.yaml),
            descriptors: File::descriptors(descriptors::Set::of(schema)),
        }
    }
}

impl File {
    fn new(media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest: String = Sha256::digest(&body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let etag = HeaderValue::try_from(format!("\"{digest}\"")).expect("digits are a header");
        Self { body, etag, media_type, is_packed: false, left_out: None }
    }

    fn fixed(media_type: &'static str, body: &'static [u8]) -> Self {
        Self::new(media_type, body)
    }

    fn descriptors(set: descriptors::Set) -> Self {
        let left_out = (!set.left_out.is_empty()).then(|| set.left_out.join(", "));
        let left_out = left_out.and_then(|names| HeaderValue::try_from(names).ok());
        Self { left_out, ..Self::new("application/protobuf", set.bytes) }
    }

    /// Says that the body is packed by gzip.
    fn packed(self) -> Self {
        Self { is_packed: true, ..self }
    }

    fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let known = asked.get(IF_NONE_MATCH).is_some_and(|tags| names(tags, &self.etag));
        let mut response = if known {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            Response::new(Body::new(Full::new(self.body.clone())))
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(ETAG, self.etag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        if self.is_packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(names) = &self.left_out {
            headers.insert(HeaderName::from_static("x-left-out"), names.clone());
        }
        response
    }
}

/// Tells whether a list of entity tags has this one (RFC 9110 section 13.1.2).
fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (tags, etag) = (tags.to_str().unwrap_or_default(), etag.to_str().unwrap_or_default());
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn wanted(query: Option<&str>) -> Option<&str> {
    query?.split('&').find_map(|pair| pair.strip_prefix("service="))
}

fn unknown(service: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no gRPC service {service}: {USE}"))
}

const USE: &str = "leave the parameter out for all, or name one of `grpcurl list`";

fn moved() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("../docs"));
    response
}

#[cfg(test)]
mod tests;
