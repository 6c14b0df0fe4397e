//! Requests that no generated client would send: bytes that are no message.

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

use crate::hostile::world::{World, refused};

/// Sends bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}

impl World {
    /// Sends bytes as the request of a method, through the mesh.
    pub(crate) async fn send(&self, service: &str, method: &str, message: Bytes) -> Result<(), Status> {
        let name = if service == "users" { "User" } else { "Catalog" };
        let path = format!("/selvedge.{service}.v1.{name}Service/{method}");
        let path = PathAndQuery::try_from(path).expect("names are plain");
        Grpc::new(self.mesh.channel(service)).unary(Request::new(message), path, Raw).await.map(drop)
    }
}

/// Sends what is no UTF-8, or no message at all; returns how many were refused.
pub(crate) async fn sent(world: &World) -> anyhow::Result<usize> {
    let cases: [(&str, &str, &'static [u8], &str); 9] = [
        ("users", "GetUser", b"\x0a\x02\xc3\x28", "name"),
        ("users", "GetUser", b"\x0a\x04\xff\xfe\x00\x01", "name"),
        ("users", "CreateUser", b"\x0a\x04\x12\x02\xed\xa0", "user.display_name"),
        ("users", "ListUsers", b"\x1a\x01\x80", "filter"),
        ("users", "ListUsers", b"\x12\x01\x80", "page_token"),
        ("catalog", "BatchGetProducts", b"\x0a\x01\xff", "names"),
        ("catalog", "CreateProduct", b"\x0a\x03\x32\x01\xff", "product.tags"),
        // Shorter than it says, and no message at all.
        ("catalog", "GetProduct", b"\x0a\x10abc", "name"),
        ("catalog", "GetProduct", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ""),
    ];
    for (service, method, bytes, field) in cases {
        refused(world.send(service, method, Bytes::from_static(bytes)).await, field, method)?;
    }
    Ok(cases.len())
}
