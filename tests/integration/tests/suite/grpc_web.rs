//! A gRPC-Web client by hand: frames as PROTOCOL-WEB.md says, in both encodings.

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Binary,
    Text,
}

/// The answer to a unary call: the message, if there was one, and the status.
#[derive(Debug)]
pub(crate) struct Answer<M> {
    pub(crate) message: Option<M>,
    pub(crate) status: i32,
    pub(crate) text: String,
}

/// Calls a unary method at a gateway.
pub(crate) async fn unary<M: Message + Default>(
    http: &reqwest::Client,
    gateway: &str,
    path: &str,
    request: &impl Message,
    encoding: Encoding,
) -> anyhow::Result<Answer<M>> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(request.encoded_len())?.to_be_bytes());
    request.encode(&mut frame)?;
    let (content_type, body) = match encoding {
        Encoding::Binary => ("application/grpc-web+proto", frame),
        Encoding::Text => ("application/grpc-web-text+proto", STANDARD.encode(frame).into_bytes()),
    };
    let response = http
        .post(format!("{gateway}{path}"))
        .header("content-type", content_type)
        .header("accept", content_type)
        .header("x-grpc-web", "1")
        .body(body)
        .send()
        .await?;
    anyhow::ensure!(response.status().is_success(), "HTTP {}", response.status());
    let said = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    anyhow::ensure!(said == content_type, "content-type {said:?}");
    let in_headers = response.headers().get("grpc-status").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let text = response.headers().get("grpc-message").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let bytes = response.bytes().await?;
    if let Some(status) = in_headers {
        return Ok(Answer { message: None, status: status.parse()?, text });
    }
    match encoding {
        Encoding::Binary => read(&bytes),
        Encoding::Text => read(&decode_padded_anywhere(&bytes)?),
    }
}

/// Reads the message frame and the trailers frame.
fn read<M: Message + Default>(mut bytes: &[u8]) -> anyhow::Result<Answer<M>> {
    let mut message = None;
    while bytes.len() >= 5 {
        let flag = bytes[0];
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
        let payload = bytes.get(5..5 + length).context("a frame is cut off")?;
        bytes = &bytes[5 + length..];
        if flag & 0x80 == 0 {
            message = Some(M::decode(payload)?);
            continue;
        }
        let lines = std::str::from_utf8(payload)?;
        let value = |name: &str| {
            lines
                .split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| *key == name)
                .map(|(_, v)| v.trim())
        };
        anyhow::ensure!(bytes.is_empty(), "something follows the trailers frame");
        let status = value("grpc-status").context("no grpc-status in the trailers frame")?.parse()?;
        return Ok(Answer { message, status, text: value("grpc-message").unwrap_or_default().to_owned() });
    }
    bail!("no trailers frame")
}

/// Text mode is base64 in pieces, each with its own padding.
fn decode_padded_anywhere(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(text.len().is_multiple_of(4), "{} characters are no base64", text.len());
    let quads = text.chunks(4).map(|quad| STANDARD.decode(quad));
    Ok(quads.collect::<Result<Vec<_>, _>>()?.concat())
}
