//! A server host: answers what arrives, sooner or later, or refuses it.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Request;
use rand::Rng as _;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

use super::{
    super::support::{finish, framed, grpc_head},
    log::{Event, Log},
};
use crate::{context::PREVIOUS_ATTEMPTS, random};

pub(super) const PORT: u16 = 9_000;
/// Names the call.
pub(super) const CALL: &str = "x-call";

pub(super) async fn run(server: usize, log: Log) -> turmoil::Result {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(connection(socket, server, log.clone()));
    }
}

async fn connection(socket: TcpStream, server: usize, log: Log) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, server, log.clone()));
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, server: usize, log: Log) -> Option<()> {
    let number = |name: &str| request.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
    let previous = u32::try_from(number(PREVIOUS_ATTEMPTS).unwrap_or_default()).ok()?;
    log.note(Event::Arrived { call: number(CALL)?, previous, server });
    let (long, refused) = (random::rng().random_bool(0.05), random::rng().random_bool(0.05));
    sleep(Duration::from_millis(random::rng().random_range(0..if long { 4_000 } else { 60 }))).await;
    let mut head = grpc_head();
    if refused {
        head.headers_mut().insert("grpc-status", 14.into());
        respond.send_response(head, true).ok()?;
        return None;
    }
    let mut stream = respond.send_response(head, false).ok()?;
    stream.send_data(framed(b"well"), false).ok()?;
    finish(&mut stream, 0);
    Some(())
}
