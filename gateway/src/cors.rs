//! Which web pages may read answers (Fetch standard, "CORS protocol"). Credentials are never allowed.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
    request,
};
use tonic::body::Body;

use crate::{config::Origins, error::Error};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// How long a browser may remember a preflight: two hours, the most that any browser takes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// What scripts may always read of an answer; its other headers are added one by one.
const EXPOSED: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// The origins that are allowed.
#[derive(Clone, Debug)]
pub(crate) enum Cors {
    Any,
    Only(Vec<HeaderValue>),
}

impl Cors {
    pub(crate) fn new(origins: &Origins) -> Result<Self, Error> {
        match origins {
            Origins::Any => Ok(Self::Any),
            Origins::None => Ok(Self::Only(Vec::new())),
            Origins::Only(list) => list.iter().map(|text| origin(text)).collect::<Result<_, _>>().map(Self::Only),
        }
    }

    /// Answers the question that a browser asks before a request, if this is one.
    pub(crate) fn preflight(&self, parts: &request::Parts) -> Option<Response<Body>> {
        let asks = parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let origin = parts.headers.get(ORIGIN).filter(|_| parts.method == Method::OPTIONS && asks)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        if self.allow(origin, headers) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            if let Some(asked) = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
        }
        Some(response)
    }

    /// Lets the page of this origin, which sent the request, read the answer, if it is allowed.
    pub(crate) fn expose(&self, origin: &HeaderValue, response: &mut HeaderMap) {
        if !self.allow(origin, response) {
            return;
        }
        let own = response.keys().map(HeaderName::as_str).filter(|name| !EXPOSED.contains(name) && !is_cors(name));
        let exposed = EXPOSED.into_iter().chain(own).collect::<Vec<_>>().join(", ");
        response.extend(HeaderValue::try_from(exposed).ok().map(|value| (ACCESS_CONTROL_EXPOSE_HEADERS, value)));
    }

    fn allow(&self, origin: &HeaderValue, response: &mut HeaderMap) -> bool {
        match self {
            Self::Any => {
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                true
            }
            Self::Only(origins) => {
                // Caches must not give the answer for one origin to another.
                response.append(VARY, HeaderValue::from_static("origin"));
                let allowed = origins.contains(origin);
                response.extend(allowed.then(|| (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())));
                allowed
            }
        }
    }
}

fn is_cors(name: &str) -> bool {
    name.starts_with("access-control-") || name == VARY
}

fn origin(text: &str) -> Result<HeaderValue, Error> {
    let bad = || Error::Origin(text.to_owned());
    let (scheme, host) = text.split_once("://").ok_or_else(bad)?;
    let named = !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '*']);
    if !named {
        return Err(bad());
    }
    HeaderValue::try_from(text.to_ascii_lowercase()).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn preflight(cors: &Cors, origin: &str) -> Response<Body> {
        let request = Request::builder()
            .method("OPTIONS")
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(ACCESS_CONTROL_REQUEST_HEADERS, "content-type,x-grpc-web,x-user-agent");
        cors.preflight(&request.body(()).unwrap().into_parts().0).unwrap()
    }

    #[test]
    fn a_preflight_allows_what_is_asked() {
        let response = preflight(&Cors::new(&Origins::Any).unwrap(), "https://shop.example");
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type,x-grpc-web,x-user-agent");
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors = Cors::new(&Origins::Only(vec!["https://shop.example".into()])).unwrap();
        let allowed = preflight(&cors, "https://shop.example");
        assert_eq!(allowed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
        let other = preflight(&cors, "https://shop.example.evil");
        assert!(!other.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(other.headers()[VARY], "origin");
        let none = preflight(&Cors::new(&Origins::None).unwrap(), "https://shop.example");
        assert!(!none.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn an_answer_exposes_status_and_its_own_headers() {
        let mut response = HeaderMap::new();
        for name in ["grpc-status", "status", "x-next"] {
            response.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        Cors::Any.expose(&HeaderValue::from_static("https://a.example"), &mut response);
        let mut exposed: Vec<_> = response[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().split(", ").collect();
        exposed.sort_unstable();
        assert_eq!(exposed, ["grpc-message", "grpc-status", "grpc-status-details-bin", "status", "x-next"]);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in ["shop.example", "https://", "https://a/b", "https://*.example"] {
            assert!(Cors::new(&Origins::Only(vec![bad.into()])).is_err(), "{bad}");
        }
    }
}
