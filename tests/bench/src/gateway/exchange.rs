//! What is sent and what must come back, in either form.

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::Full;
use prost::Message as _;
use serde_json::Value;

use crate::gateway::orders::{self, METHOD, ROUTE, pb::Order};

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Binary frames.
    GrpcWeb,
    Json,
}

/// One request and its answer, the same each time.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    form: Form,
    order: Order,
    body: Bytes,
}

impl Exchange {
    /// Makes one whose request has a body of so many bytes, give or take a few.
    pub(crate) fn of(form: Form, size: usize) -> Self {
        let (order, body) = match form {
            Form::GrpcWeb => {
                let order = orders::of_wire_bytes(size);
                let body = frame(&order);
                (order, body)
            }
            Form::Json => {
                let order = orders::of_json_bytes(size);
                let body = orders::json(&order).to_string().into();
                (order, body)
            }
        };
        Self { form, order, body }
    }

    /// Returns the request.
    pub(crate) fn request(&self, host: &str) -> anyhow::Result<Request<Full<Bytes>>> {
        let (path, content_type) = match self.form {
            Form::GrpcWeb => (METHOD, "application/grpc-web+proto"),
            Form::Json => (ROUTE, "application/json"),
        };
        let mut request = Request::post(path).header("host", host).header("content-type", content_type);
        if self.form == Form::GrpcWeb {
            request = request.header("x-grpc-web", "1");
        }
        Ok(request.body(Full::new(self.body.clone()))?)
    }

    /// Looks whether this is the answer.
    pub(crate) fn check(&self, headers: &HeaderMap, body: &[u8]) -> anyhow::Result<()> {
        match self.form {
            Form::GrpcWeb => {
                ensure!(!headers.contains_key("grpc-status"), "refused: {headers:?}");
                let (message, trailers) = split(body).context("the answer has no whole message")?;
                ensure!(Order::decode(message)? == self.order, "another order came back");
                let trailers = String::from_utf8_lossy(trailers.get(5..).unwrap_or_default()).replace(": ", ":");
                ensure!(trailers.contains("grpc-status:0"), "{trailers}");
            }
            Form::Json => {
                let (sent, answered) = (orders::json(&self.order), serde_json::from_slice::<Value>(body)?);
                let other = sent.as_object().context("an order is an object")?.iter();
                let other: Vec<_> = other.filter(|(name, value)| answered[name] != **value).collect();
                ensure!(other.is_empty(), "other fields came back than {:?}", other.iter().map(|(name, _)| name));
            }
        }
        Ok(())
    }
}

fn frame(order: &Order) -> Bytes {
    let message = order.encode_to_vec();
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("orders are far below 4 GiB"));
    frame.extend_from_slice(&message);
    frame.freeze()
}

/// Cuts an answer into its message and the frame of its trailers.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[0, a, b, c, d], rest) = body.split_first_chunk()? else { return None };
    rest.split_at_checked(u32::from_be_bytes([a, b, c, d]) as usize)
}
