//! A stub server over `h2`, a fixed resolver, and a client of raw messages.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::{FutureExt as _, channel::mpsc::UnboundedSender, future::BoxFuture};
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response, uri::PathAndQuery};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tonic::{
    Status, Streaming,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::{
    channel::{Channel, Channels},
    client::call::CallOptions,
    config::{ClientConfig, Config},
    discovery::{Instance, Instances, Resolve, Services},
    policy::{
        cluster::{ClusterPolicies, ClusterPolicy},
        method::Idempotency,
    },
    telemetry::Telemetry,
};

pub(super) const PATH: PathAndQuery = PathAndQuery::from_static("/test.Echo/Run");

type Handler = Arc<dyn Fn(Request<RecvStream>, SendResponse<Bytes>) -> BoxFuture<'static, ()> + Send + Sync>;

/// A server on a free port; it is gone, with its connections, when dropped.
pub(super) struct Stub {
    pub(super) address: SocketAddr,
    /// Connections that were made, and those that have not ended.
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) streams: Arc<AtomicUsize>,
    /// Raised to send GOAWAY on all connections.
    drain: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Stub {
    pub(super) async fn start<F>(
        run: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::with(h2::server::Builder::new(), "127.0.0.1:0", run).await
    }

    pub(super) async fn with<F>(
        builder: h2::server::Builder,
        address: &str,
        run: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let handler: Handler = Arc::new(move |request, respond| run(request, respond).boxed());
        let drain = watch::Sender::new(false);
        let (connections, streams) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        let open = Arc::<AtomicUsize>::default();
        let (made, opened, drained) = (Arc::clone(&connections), Arc::clone(&streams), drain.clone());
        let lasting = Arc::clone(&open);
        tasks.spawn(async move {
            let mut running = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                made.fetch_add(1, Ordering::SeqCst);
                let (handler, opened, lasting) = (Arc::clone(&handler), Arc::clone(&opened), Arc::clone(&lasting));
                lasting.fetch_add(1, Ordering::SeqCst);
                let served = serve(socket, builder.clone(), handler, opened, drained.subscribe());
                running.spawn(served.map(move |()| lasting.fetch_sub(1, Ordering::SeqCst)));
            }
        });
        Self { address, connections, open, streams, drain, tasks }
    }

    /// Sends GOAWAY on the connections that exist; new ones are served.
    pub(super) fn go_away(&self) {
        self.drain.send_replace(true);
    }

    /// Goes away, and leaves its port free.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    pub(super) fn served(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

async fn serve(
    socket: TcpStream,
    builder: h2::server::Builder,
    handler: Handler,
    streams: Arc<AtomicUsize>,
    mut drain: watch::Receiver<bool>,
) {
    drain.mark_unchanged();
    let Ok(mut connection) = builder.handshake(socket).await else { return };
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Ok(()) = drain.changed() => connection.graceful_shutdown(),
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                streams.fetch_add(1, Ordering::SeqCst);
                running.spawn(handler(request, respond));
            }
        }
    }
}

/// Answers with the messages of the request.
pub(super) async fn echo(mut request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut head = grpc_head();
    if let Some(encoding) = request.headers().get("grpc-encoding") {
        head.headers_mut().insert("grpc-encoding", encoding.clone());
    }
    let mut body = BytesMut::new();
    while let Some(Ok(data)) = request.body_mut().data().await {
        request.body_mut().flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    let mut stream = respond.send_response(head, false).unwrap();
    send(&mut stream, body.freeze()).await;
    finish(&mut stream, 0);
}

/// Answers without a message, with a code.
pub(super) async fn refuse(mut respond: SendResponse<Bytes>, code: i32) {
    let mut head = grpc_head();
    head.headers_mut().insert("grpc-status", code.into());
    respond.send_response(head, true).unwrap();
}

pub(super) fn grpc_head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

pub(super) async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let part = data.split_to(room.min(data.len()));
        if stream.send_data(part, false).is_err() {
            return;
        }
    }
}

pub(super) fn finish(stream: &mut SendStream<Bytes>, code: i32) {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    let _ = stream.send_trailers(trailers);
}

/// Returns a message with its prefix.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap());
    bytes.extend_from_slice(message);
    bytes.freeze()
}

/// Instances that a test says.
#[derive(Debug)]
struct Fixed {
    instances: watch::Sender<Instances>,
}

impl Resolve for Fixed {
    fn instances(&self, _: &str) -> watch::Receiver<Instances> {
        self.instances.subscribe()
    }

    fn services(&self) -> watch::Receiver<Services> {
        watch::channel(None).1
    }

    fn describe(&self) -> String {
        "consul at http://127.0.0.1:8500".into()
    }
}

/// Calls with a stream of messages, of which the test holds the sender; returns when response headers came.
pub(super) async fn bidi(world: &World) -> (UnboundedSender<Bytes>, Streaming<Bytes>) {
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    client.ready().await.unwrap();
    let answer = client.streaming(tonic::Request::new(receiver), PATH, Raws).await.unwrap();
    (sender, answer.into_inner())
}

/// A channel to `users`, whose instances the test sets.
pub(super) struct World {
    pub(super) channel: Channel,
    pub(super) telemetry: Telemetry,
    instances: watch::Sender<Instances>,
    _channels: Arc<Channels>,
}

pub(super) fn world(instances: Option<&[SocketAddr]>, change: impl FnOnce(&mut ClientConfig)) -> World {
    world_with(instances, change, ClusterPolicy::default())
}

pub(super) fn world_with(
    instances: Option<&[SocketAddr]>,
    change: impl FnOnce(&mut ClientConfig),
    policy: ClusterPolicy,
) -> World {
    let mut config = Config::new("test");
    change(&mut config.client);
    let world = world_of(&config, policy);
    if let Some(instances) = instances {
        world.set(instances);
    }
    world
}

/// A world of which no instance is known yet.
pub(super) fn world_of(config: &Config, policy: ClusterPolicy) -> World {
    let (sender, telemetry) = (watch::Sender::new(Instances::Unknown), Telemetry::new().unwrap());
    let resolver = Arc::new(Fixed { instances: sender.clone() });
    let channels = Channels::new(
        config,
        &[],
        ClusterPolicies::from([("users".into(), policy)]).into(),
        resolver,
        telemetry.clone(),
    )
    .unwrap();
    World { channel: channels.get("users"), telemetry, instances: sender, _channels: channels }
}

impl World {
    pub(super) fn set(&self, addresses: &[SocketAddr]) {
        self.set_with(addresses, &[]);
    }

    /// Whether anybody follows the instances.
    pub(super) fn is_followed(&self) -> bool {
        self.instances.receiver_count() > 0
    }

    /// Sets the instances as they are told.
    pub(super) fn tell(&self, instances: Vec<Instance>) {
        self.instances.send_replace(Instances::Known(instances.into()));
    }

    /// Sets the instances, and those that are a last resort.
    pub(super) fn set_with(&self, addresses: &[SocketAddr], last_resort: &[SocketAddr]) {
        let instance = |address: &SocketAddr| Instance {
            meta: [("selvedge".to_owned(), "1".to_owned())].into(),
            last_resort: last_resort.contains(address),
            ..Instance::at(format!("users-{}", address.port()), address.ip().to_string(), address.port())
        };
        self.instances.send_replace(Instances::Known(addresses.iter().chain(last_resort).map(instance).collect()));
    }

    /// Makes a unary call.
    pub(super) async fn unary(&self, message: Bytes, options: CallOptions) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(options);
        client.unary(request, PATH, Raws).await.map(tonic::Response::into_inner)
    }

    /// Makes a unary call of a method that may not be repeated.
    pub(super) async fn call(&self) -> Result<Bytes, Status> {
        self.unary("hello".into(), options(None)).await
    }
}

pub(super) fn options(idempotency: Option<Idempotency>) -> CallOptions {
    CallOptions { idempotency, unary: Some(true), ..CallOptions::default() }
}

/// Messages as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Raws;

impl Codec for Raws {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raws {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raws {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Waits until a condition holds; fails after ten seconds.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let held = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(held.await.is_ok(), "in vain for 10 s: {what}");
}

/// A place that handlers put things into.
pub(super) type Seen<T> = Arc<Mutex<Vec<T>>>;
