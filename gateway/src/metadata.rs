//! Which headers pass from a client to a service, and back.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_TYPE, TE},
};

/// Headers that speak about one connection (RFC 9110 section 7.6.1) or that each side writes itself.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What a browser or an HTTP library says about a request, of no use to a service.
const OF_HTTP: [&str; 11] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "cache-control",
    "content-type",
    "cookie",
    "expect",
    "origin",
    "pragma",
    "referer",
    "x-grpc-web",
];

/// Keeps what a gRPC client sent, apart from what is of the connection or pretends to come from the mesh.
pub(crate) fn from_grpc(headers: &HeaderMap) -> HeaderMap {
    let mut kept = copy(headers, |name| is_hop(name) || name.starts_with("x-selvedge-"));
    kept.insert(TE, HeaderValue::from_static("trailers"));
    kept
}

/// Keeps what a gRPC-Web client meant for the service; the content type becomes gRPC's.
pub(crate) fn from_web(headers: &HeaderMap) -> HeaderMap {
    let mut kept = copy(headers, |name| is_hop(name) || is_http(name) || name.starts_with("x-selvedge-"));
    as_grpc(&mut kept);
    kept
}

/// Keeps what a REST client meant for the service: nothing that only gRPC may say.
pub(crate) fn from_rest(headers: &HeaderMap) -> HeaderMap {
    let foreign = |name: &str| {
        let of_body = name.starts_with("content-") || name.starts_with("if-");
        let of_mesh = name.starts_with("x-selvedge-") || name.starts_with("grpc-") || name == "x-server-timeout";
        is_hop(name) || is_http(name) || of_body || of_mesh || name.ends_with("-bin")
    };
    let mut kept = copy(headers, foreign);
    as_grpc(&mut kept);
    kept
}

/// Keeps what a service answered, apart from what is of the connection.
pub(crate) fn to_grpc(headers: &mut HeaderMap) {
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| is_hop(name.as_str())).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// The preference (RFC 7240) by which a REST client asks for the metadata of an answer under [`PREFIX`].
pub(crate) const PREFERENCE: HeaderValue = HeaderValue::from_static("grpc-metadata");
/// What stands before the names of metadata, as grpc-gateway has it.
const PREFIX: &str = "grpc-metadata-";

/// Tells whether a request prefers to get the metadata of its answer.
pub(crate) fn is_preferred(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut names =
        values.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or_default().trim());
    names.any(|name| name.as_bytes().eq_ignore_ascii_case(PREFERENCE.as_bytes()))
}

/// Puts all metadata of an answer, headers or trailers, under names of its own; what is binary stays base64. Not what
/// gRPC, HTTP and the mesh write themselves.
pub(crate) fn prefixed(metadata: &HeaderMap) -> HeaderMap {
    let reserved = |name: &str| {
        let of_http = matches!(name, "content-type" | "date" | "server" | "trailer");
        is_hop(name) || of_http || name.starts_with("grpc-") || name.starts_with("x-selvedge-")
    };
    let named = copy(metadata, reserved);
    let names = named.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(format!("{PREFIX}{name}")).ok()?;
        Some((name, value.clone()))
    });
    names.collect()
}

/// Keeps what a REST client may see of a service's metadata.
pub(crate) fn to_rest(headers: &HeaderMap) -> HeaderMap {
    copy(headers, |name| {
        let of_grpc = name.starts_with("grpc-") || name.ends_with("-bin") || name.starts_with("content-");
        let of_web =
            name.starts_with("access-control-") || matches!(name, "set-cookie" | "server" | "date" | "trailer");
        is_hop(name) || of_grpc || of_web || name.starts_with("x-selvedge-")
    })
}

fn copy(headers: &HeaderMap, dropped: impl Fn(&str) -> bool) -> HeaderMap {
    let named = named_by_connection(headers);
    let of_connection = |name: &HeaderName| named.iter().any(|named| named == name.as_str());
    let kept = headers.iter().filter(|(name, _)| !dropped(name.as_str()) && !of_connection(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Returns the headers that `connection` declares to be of the connection too.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn as_grpc(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
}

fn is_hop(name: &str) -> bool {
    HOP_BY_HOP.contains(&name)
}

fn is_http(name: &str) -> bool {
    OF_HTTP.contains(&name) || name.starts_with("sec-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_pretends_to_come_from_the_mesh_is_dropped() {
        let sent = headers(&[("x-selvedge-peer", "admin"), ("authorization", "Bearer t"), ("x-tenant", "a")]);
        for kept in [from_grpc(&sent), from_web(&sent), from_rest(&sent)] {
            assert!(!kept.contains_key("x-selvedge-peer"));
            assert_eq!(kept["authorization"], "Bearer t");
            assert_eq!(kept["x-tenant"], "a");
            assert_eq!(kept["te"], "trailers");
        }
    }

    #[test]
    fn what_is_of_the_connection_is_dropped() {
        let sent = headers(&[("connection", "close, X-Hop"), ("x-hop", "1"), ("keep-alive", "5"), ("host", "h")]);
        let kept = from_rest(&sent);
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type", "te"]);
    }

    #[test]
    fn metadata_is_asked_for_by_a_preference() {
        for (value, wanted) in [
            ("grpc-metadata", true),
            ("respond-async, Grpc-Metadata; x=1", true),
            ("grpc-metadata-x", false),
            ("", false),
        ] {
            assert_eq!(is_preferred(&headers(&[("prefer", value)])), wanted, "{value}");
        }
        assert!(!is_preferred(&headers(&[("grpc-metadata", "1")])));
    }

    #[test]
    fn metadata_has_names_of_its_own() {
        let mut sent = headers(&[
            ("x-next", "2"),
            ("x-seal-bin", "AAE"),
            ("set-cookie", "a=b"),
            ("grpc-status", "0"),
            ("grpc-encoding", "gzip"),
            ("content-type", "application/grpc"),
            ("x-selvedge-peer", "users"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
        ]);
        sent.append("x-next", HeaderValue::from_static("3"));
        let all = prefixed(&sent);
        assert_eq!(all.len(), 4);
        assert_eq!(all.get_all("grpc-metadata-x-next").iter().collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(all["grpc-metadata-x-seal-bin"], "AAE");
        assert_eq!(all["grpc-metadata-set-cookie"], "a=b");
    }

    #[test]
    fn a_rest_client_cannot_speak_as_grpc() {
        let kept = from_rest(&headers(&[("grpc-timeout", "1n"), ("grpc-encoding", "gzip"), ("k-bin", "AA")]));
        assert!(kept.keys().all(|name| !name.as_str().starts_with("grpc-") && name != "k-bin"));
    }
}
