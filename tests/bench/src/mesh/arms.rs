//! The ways of calling that are compared.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use selvedge::{Config, Mesh};
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codegen::StdError,
    transport::{Channel, Endpoint},
};

use crate::{
    echo::{
        DESCRIPTORS,
        pb::{EchoManyRequest, EchoRequest, echo_service_client::EchoServiceClient},
    },
    envoy::{Envoy, Settings},
    server::Server,
};

/// Makes one call with this payload.
pub(crate) type CallWith = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<(), Status>> + Send + Sync>;

/// One way of calling, and the processes that take part beside this one.
pub(crate) struct Arm {
    pub(crate) name: &'static str,
    pub(crate) processes: Vec<u32>,
    pub(crate) unary: CallWith,
    pub(crate) stream: CallWith,
    _proxies: Vec<Envoy>,
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns all arms; all but the last call the same plain server.
pub(crate) async fn all(registry: &str, plain: &Server, meshed: &Server) -> anyhow::Result<Vec<Arm>> {
    register(registry, "echo-plain", plain.address).await?;
    let mut config = Config::new("bench");
    config.registry.address = registry.into();
    let mesh = Mesh::builder(config).upstream_descriptors(DESCRIPTORS).build()?;
    let endpoint = |port: u16| anyhow::Ok(Endpoint::new(format!("http://127.0.0.1:{port}"))?.tcp_nodelay(true));
    let between = Envoy::start(plain.address.port(), &Settings::sidecar()).await?;
    let far = Envoy::start(plain.address.port(), &Settings::sidecar()).await?;
    let near = Envoy::start(far.port, &Settings::sidecar()).await?;
    let to_plain = plain.address.port();
    let (through, pair) = (endpoint(between.port)?.connect().await?, endpoint(near.port)?.connect().await?);
    Ok(vec![
        arm("tonic", plain, Vec::new(), endpoint(to_plain)?.connect().await?),
        arm("selvedge", plain, Vec::new(), mesh.channel("echo-plain")),
        arm("envoy", plain, vec![between], through),
        arm("envoy_pair", plain, vec![near, far], pair),
        arm("balance_list", plain, Vec::new(), Channel::balance_list([endpoint(to_plain)?].into_iter())),
        arm("selvedge_both", meshed, Vec::new(), mesh.channel("echo-mesh")),
    ])
}

fn arm<T>(name: &'static str, server: &Server, proxies: Vec<Envoy>, channel: T) -> Arm
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    let client = EchoServiceClient::new(channel);
    let streaming = client.clone();
    let unary: CallWith = Arc::new(move |payload| {
        let mut client = client.clone();
        async move { client.echo(EchoRequest { payload }).await.map(drop) }.boxed()
    });
    let stream: CallWith = Arc::new(move |payload| {
        let mut client = streaming.clone();
        async move {
            let mut answers = client.echo_many(EchoManyRequest { payload, times: 1_000 }).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok(())
        }
        .boxed()
    });
    let processes = proxies.iter().map(|proxy| proxy.process).chain([server.process]).collect();
    Arm { name, processes, unary, stream, _proxies: proxies }
}

/// Registers the plain server by hand, as a service of any make would be.
async fn register(registry: &str, name: &str, address: std::net::SocketAddr) -> anyhow::Result<()> {
    let body = serde_json::json!({"Name": name, "Address": address.ip().to_string(), "Port": address.port()});
    let url = format!("{registry}/v1/agent/service/register");
    reqwest::Client::new().put(url).body(body.to_string()).send().await?.error_for_status()?;
    Ok(())
}
