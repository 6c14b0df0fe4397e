//! One connection of HTTP/1.1 that is kept, with one request on it at a time.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::gateway::exchange::Exchange;

/// A client; its connection ends with it.
#[derive(Debug)]
pub(crate) struct Client {
    host: String,
    sender: SendRequest<Full<Bytes>>,
    length: usize,
    _connection: AbortOnDropHandle<()>,
}

impl Client {
    /// Connects, and makes one exchange whose answer is looked into.
    pub(crate) async fn open(address: SocketAddr, exchange: &Exchange) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        let mut client =
            Self { host: address.to_string(), sender, length: 0, _connection: AbortOnDropHandle::new(connection) };
        let response = client.sender.send_request(exchange.request(&client.host)?).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        ensure!(head.status == 200, "HTTP {}: {}", head.status, text());
        exchange.check(&head.headers, &body).with_context(text)?;
        client.length = body.len();
        Ok(client)
    }

    /// Makes one more exchange; of the answer only status and length are looked at.
    pub(crate) async fn again(&mut self, exchange: &Exchange) -> anyhow::Result<()> {
        self.sender.ready().await?;
        let response = self.sender.send_request(exchange.request(&self.host)?).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        // Headers of trailers may be written in another order, but not longer.
        ensure!(status == 200 && length == self.length, "HTTP {status}, {length} bytes in place of {}", self.length);
        Ok(())
    }
}
