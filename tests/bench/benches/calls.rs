//! What a call allocates in the caller's process, by tonic's channel and by Selvedge with all that it does:
//! `cargo bench -p selvedge-bench`. The server runs in a thread of its own, which is not counted.

#[path = "../src/echo.rs"]
mod echo;

use std::{net::SocketAddr, sync::mpsc};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher};
use echo::{
    DESCRIPTORS,
    pb::{EchoRequest, echo_service_client::EchoServiceClient},
};
use selvedge::{Config, Mesh};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tonic::{
    body::Body,
    client::GrpcService,
    codegen::StdError,
    transport::{Endpoint, Server, server::TcpIncoming},
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// One thread runs all tasks of the caller: what it allocates is what a call allocates.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Serves until the program ends.
fn serve() -> SocketAddr {
    let (told, address) = mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address")).expect("it is waited for");
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            Server::builder().add_service(echo::service()).serve_with_incoming(incoming).await
        })
    });
    address.recv().expect("it listens")
}

fn bench<T>(bencher: Bencher<'_, '_>, runtime: &Runtime, channel: T)
where
    T: GrpcService<Body> + Clone,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    let (client, payload) = (EchoServiceClient::new(channel), Bytes::from_static(&[7; 100]));
    let call = || {
        let mut client = client.clone();
        runtime.block_on(client.echo(EchoRequest { payload: payload.clone() })).expect("it answers");
    };
    // What is made once, is made.
    (0..100).for_each(|_| call());
    bencher.bench_local(call);
}

#[divan::bench]
fn tonic(bencher: Bencher<'_, '_>) {
    let (address, runtime) = (serve(), runtime());
    let endpoint = Endpoint::new(format!("http://{address}")).expect("an address").tcp_nodelay(true);
    let channel = runtime.block_on(endpoint.connect()).expect("it listens");
    bench(bencher, &runtime, channel);
}

#[divan::bench]
fn selvedge(bencher: Bencher<'_, '_>) {
    let (address, runtime) = (serve(), runtime());
    let mesh =
        runtime.block_on(async { Mesh::builder(Config::new("bench")).upstream_descriptors(DESCRIPTORS).build() });
    let channel = mesh.expect("a mesh").channel(&format!("fixed://{address}"));
    bench(bencher, &runtime, channel);
}
