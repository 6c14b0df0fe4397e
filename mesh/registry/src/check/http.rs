//! A probe by HTTP/1.1: 2xx passes, 429 warns, everything else is critical. Redirects are not followed.

use std::collections::BTreeMap;

use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::record::Status;

/// How much of a body is read for the output.
const BODY_LIMIT: usize = 64 * 1024;

pub(crate) async fn ask_http(
    url: &str,
    method: &str,
    headers: &BTreeMap<String, Vec<String>>,
    body: &str,
) -> Result<(Status, String), String> {
    let text = |error: &dyn std::fmt::Display| format!("{method} {url} failed: {error}");
    let uri: Uri = url.parse().map_err(|error: axum::http::uri::InvalidUri| text(&error))?;
    let host = uri.authority().ok_or_else(|| text(&"the url has no host"))?.clone();
    let stream =
        TcpStream::connect((host.host(), host.port_u16().unwrap_or(80))).await.map_err(|error| text(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;

    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path);
    if !headers.keys().any(|name| name.eq_ignore_ascii_case("host")) {
        request = request.header(header::HOST, host.as_str());
    }
    for (name, values) in headers {
        request = values.iter().fold(request, |request, value| request.header(name, value));
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).map_err(|error| text(&error))?;

    let asked = async {
        let response = sender.send_request(request).await.map_err(|error| text(&error))?;
        let code = response.status();
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
        let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        Ok((status(code), format!("HTTP {method} {url}: {code} Output: {body}")))
    };
    // The connection is driven here, and ends with the probe.
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        _ = connection => asked.await,
    }
}

fn status(code: StatusCode) -> Status {
    match code {
        StatusCode::TOO_MANY_REQUESTS => Status::Warning,
        code if code.is_success() => Status::Passing,
        _ => Status::Critical,
    }
}
