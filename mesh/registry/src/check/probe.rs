//! One probe: asks once, over a new connection, within its time.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    check::http::ask_http,
    definition::{Probe, Target},
    record::Status,
};

/// Asks once. A probe that is not answered in time is critical.
pub(crate) async fn ask(probe: &Probe) -> (Status, String) {
    let asked = async {
        match &probe.target {
            Target::Grpc { address, service } => ask_grpc(address, service).await,
            Target::Tcp { address } => ask_tcp(address).await,
            Target::Http { url, method, headers, body } => ask_http(url, method, headers, body).await,
        }
    };
    match timeout(probe.timeout, asked).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(failed)) => (Status::Critical, failed),
        Err(_) => (Status::Critical, no_answer(probe.timeout)),
    }
}

fn no_answer(after: Duration) -> String {
    format!("no answer within {after:?}")
}

/// Only SERVING passes (Consul's API, "gRPC check").
async fn ask_grpc(address: &str, service: &str) -> Result<(Status, String), String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let channel =
        endpoint.connect().await.map_err(|error| format!("cannot connect to {address}: {}", first_cause(&error)))?;
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    let answer =
        answer.map_err(|status| format!("{address} answered {:?}: {}", status.code(), first_cause(&status)))?;
    let target = if service.is_empty() { address.to_owned() } else { format!("{address}/{service}") };
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok((Status::Passing, format!("gRPC check {target}: success"))),
        other => Err(format!("gRPC {target}: {}", other.as_str_name())),
    }
}

async fn ask_tcp(address: &str) -> Result<(Status, String), String> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|error| format!("cannot connect to {address}: {error}"))?;
    Ok((Status::Passing, format!("TCP connect {address}: Success")))
}

/// Returns the first cause of an error: tonic's own text says only "transport error".
fn first_cause(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}
