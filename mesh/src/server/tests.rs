//! The whole served path over loopback sockets: a raw HTTP/2 client on one side, a fake of Consul on the other.

mod builtin;
mod calls;
mod connections;
mod drain;
mod ends;
mod fake_consul;
mod limits;
mod notes;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, body::Body, service::Routes};

use self::fake_consul::FakeConsul;
use crate::{config::Config, error::Error, mesh::Mesh};

type Call = Request<axum::body::Body>;

/// No step of a test takes longer, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("did not happen in time")
}

/// An instance of the service `echo`, registered with a fake of Consul.
struct Served {
    address: SocketAddr,
    consul: FakeConsul,
    mesh: Mesh,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Error>>,
}

impl Served {
    async fn start(routes: Routes) -> Self {
        Self::with(routes, &[], |_| {}).await
    }

    async fn with(routes: Routes, served: &[&'static [u8]], change: impl FnOnce(&mut Config)) -> Self {
        let consul = FakeConsul::start().await;
        let mut config = consul.config();
        change(&mut config);
        let builder = Mesh::builder(config);
        let mesh = served.iter().fold(builder, |builder, set| builder.descriptors(set)).build().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let serve = mesh.serve(routes).until(async { drop(stopped.await) });
        let serve = serve.on_ready(|address| ready.send(address).unwrap());
        let ended = tokio::spawn(serve.into_future());
        let address = soon(is_ready).await.unwrap();
        Self { address, consul, mesh, stop, ended }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        soon(self.ended).await.unwrap().unwrap();
    }
}

/// Routes of one service, `test.Echo`, whose methods are closures.
#[derive(Default)]
struct Methods(axum::Router);

impl Methods {
    fn with<F>(self, name: &str, handler: impl Fn(Call) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, Status>> + Send + 'static,
    {
        let service = tower::service_fn(move |call: Call| {
            let answer = handler(call);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(Status::into_http)) }
        });
        Self(self.0.route_service(&format!("/test.Echo/{name}"), service))
    }

    fn routes(self) -> Routes {
        let mut routes = Routes::default();
        let router = std::mem::take(routes.axum_router_mut());
        *routes.axum_router_mut() = router.merge(self.0);
        routes
    }
}

/// Routes with one method, `/test.Echo/Say`, that sends back what it gets.
fn echo() -> Methods {
    Methods::default().with("Say", |call| async { Ok(answer(Body::new(call.into_body()))) })
}

/// A gRPC response that ends well.
fn answer(body: Body) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
}

/// One gRPC message of a size.
fn message(size: usize) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(size).unwrap().to_be_bytes());
    bytes.extend((0..size).map(|i| u8::try_from(i % 251).unwrap()));
    bytes.into()
}

/// A raw HTTP/2 client.
#[derive(Clone)]
struct Client(SendRequest<Bytes>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self::with(address, &h2::client::Builder::new()).await
    }

    async fn with(address: SocketAddr, builder: &h2::client::Builder) -> Self {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        let (client, connection) = soon(builder.handshake(stream)).await.unwrap();
        tokio::spawn(async { drop(connection.await) });
        Self(client)
    }

    /// Begins a call and leaves its request open.
    async fn open(&self, request: Request<()>) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        let mut client = soon(self.0.clone().ready()).await.unwrap();
        client.send_request(request, false).unwrap()
    }

    async fn call(&self, request: Request<()>, body: Bytes) -> Answer {
        let (response, mut out) = self.open(request).await;
        let read = async { Answer::read(soon(response).await.unwrap()).await };
        tokio::join!(send(&mut out, body, true), read).1
    }

    async fn say(&self, body: Bytes) -> Answer {
        self.call(post("Say"), body).await
    }
}

fn post(method: &str) -> Request<()> {
    request(&format!("/test.Echo/{method}"))
}

fn request(path: &str) -> Request<()> {
    let request = Request::post(format!("http://echo{path}")).header("te", "trailers");
    request.header("content-type", "application/grpc").body(()).unwrap()
}

/// Sends bytes as the peer takes them; what a server does not want to read is not sent.
async fn send(out: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool) {
    while !bytes.is_empty() {
        out.reserve_capacity(bytes.len());
        let capacity = std::future::poll_fn(|cx| out.poll_capacity(cx));
        let Some(Ok(capacity)) = soon(capacity).await else { return };
        let last = capacity >= bytes.len();
        if out.send_data(bytes.split_to(capacity.min(bytes.len())), last && end).is_err() || last {
            return;
        }
    }
    let _ = out.send_data(Bytes::new(), end);
}

/// All of a response.
#[derive(Debug)]
struct Answer {
    http: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
    /// Nothing followed the headers, not even an empty frame.
    headers_only: bool,
}

impl Answer {
    async fn read(response: Response<RecvStream>) -> Self {
        let (head, mut stream) = response.into_parts();
        let headers_only = stream.is_end_stream();
        let mut body = BytesMut::new();
        while let Some(data) = soon(stream.data()).await {
            let data = data.unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            body.extend(data);
        }
        let trailers = soon(stream.trailers()).await.unwrap();
        Self { http: head.status, headers: head.headers, body: body.into(), trailers, headers_only }
    }

    fn status(&self) -> Status {
        let trailers = self.trailers.as_ref().unwrap_or(&self.headers);
        Status::from_header_map(trailers).unwrap_or_else(|| Status::unknown("no grpc-status"))
    }

    fn code(&self) -> Code {
        self.status().code()
    }
}

/// Tells when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Dropped {
    fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}
