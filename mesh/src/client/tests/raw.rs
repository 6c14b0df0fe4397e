//! A peer that speaks HTTP/2 frame by frame (RFC 9113, section 4).

use std::{net::SocketAddr, sync::Arc};

use bytes::{Buf as _, BufMut as _, BytesMut};
use futures::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A peer that speaks frames by hand: it greets, and then does as told with each frame that comes.
pub(super) struct Raw {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Raw {
    /// `answer` gets type, flags, stream id and payload of each frame, and returns bytes to write.
    pub(super) async fn start(answer: impl Fn(u8, u8, u32, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.spawn(speak(socket, Arc::clone(&answer)).map(|_| ()));
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn speak(mut socket: TcpStream, answer: Arc<impl Fn(u8, u8, u32, &[u8]) -> Vec<u8>>) -> std::io::Result<()> {
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).await?;
    socket.write_all(&frame(4, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await?;
        let mut length = &[0, head[0], head[1], head[2]][..];
        let mut payload = vec![0; length.get_u32() as usize];
        socket.read_exact(&mut payload).await?;
        let (kind, flags, stream) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        socket.write_all(&answer(kind, flags, stream, &payload)).await?;
    }
}

pub(super) const HEADERS: u8 = 1;
pub(super) const GO_AWAY: u8 = 7;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_u8(kind);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.extend_from_slice(payload);
    bytes.to_vec()
}
