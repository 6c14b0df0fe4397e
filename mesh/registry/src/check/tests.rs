use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::*;
use crate::{
    definition::{Target, service_registration},
    record::{Node, Status},
    store::Store,
};

fn probe(target: Target) -> Probe {
    Probe {
        target,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
        success_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
    }
}

async fn grpc_server() -> (SocketAddr, HealthReporter) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, service) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::new(service).into_axum_router();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, reporter)
}

/// Answers each request with one text.
async fn answering(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    address
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn only_a_serving_service_passes_its_grpc_check() {
    let (address, reporter) = grpc_server().await;
    let ask_for = |service: &str| {
        let target = Target::Grpc { address: address.to_string(), service: service.to_owned() };
        async move { ask(&probe(target)).await }
    };
    assert_eq!(ask_for("").await, (Status::Passing, format!("gRPC check {address}: success")));
    reporter.set_service_status("shop.Cart", ServingStatus::NotServing).await;
    let (status, output) = ask_for("shop.Cart").await;
    assert_eq!(status, Status::Critical);
    assert!(output.contains("NOT_SERVING"), "{output}");
    assert_eq!(ask_for("unknown").await.0, Status::Critical);
    let gone = Target::Grpc { address: nobody().await, service: String::new() };
    let (status, output) = ask(&probe(gone)).await;
    assert_eq!(status, Status::Critical);
    assert!(output.contains("onnection refused"), "{output}");
}

#[tokio::test]
async fn an_http_check_goes_by_the_status() {
    let table = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Status::Passing, "200 OK Output: hi"),
        ("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n", Status::Warning, "429"),
        ("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n", Status::Critical, "500"),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", Status::Critical, "302"),
    ];
    for (answer, expected, text) in table {
        let url = format!("http://{}/health", answering(answer).await);
        let target = Target::Http { url, method: "GET".to_owned(), headers: Default::default(), body: String::new() };
        let (status, output) = ask(&probe(target)).await;
        assert_eq!(status, expected, "{output}");
        assert!(output.contains(text), "{output}");
    }
}

#[tokio::test]
async fn a_tcp_check_passes_when_somebody_accepts() {
    let address = answering("").await.to_string();
    assert_eq!(ask(&probe(Target::Tcp { address })).await.0, Status::Passing);
    let address = nobody().await;
    assert_eq!(ask(&probe(Target::Tcp { address })).await.0, Status::Critical);
}

#[tokio::test]
async fn a_probe_that_is_not_answered_in_time_is_critical() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::Grpc { address: silent.local_addr().unwrap().to_string(), service: String::new() };
    let asked = Probe { timeout: Duration::from_millis(50), ..probe(target) };
    assert_eq!(ask(&asked).await, (Status::Critical, "no answer within 50ms".to_owned()));
}

#[tokio::test]
async fn a_probe_runs_from_the_registration_of_its_check_to_the_end() {
    let node = Node::own("n".to_owned(), "dc1".to_owned(), [127, 0, 0, 1].into(), BTreeMap::new());
    let store = Arc::new(Store::new(node, CancellationToken::new()));
    let _running = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(run(Arc::clone(&store))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let registration = format!(r#"{{"Name":"a","Check":{{"TCP":"{address}","Interval":"1s"}}}}"#);
    let registration = service_registration(registration.as_bytes()).unwrap();
    store.write(|state| state.register(registration, false, Instant::now()));

    let status = |state: &crate::state::State| state.checks.get("service:a").map(|check| check.local.status);
    let limit = Duration::from_secs(30);
    crate::blocking::wait_until(&store, limit, |state| status(state) == Some(Status::Passing)).await;
    assert_eq!(store.read(status), Some(Status::Passing));
    drop(listener);
    crate::blocking::wait_until(&store, limit, |state| status(state) == Some(Status::Critical)).await;
    assert_eq!(store.read(status), Some(Status::Critical));

    let listener = TcpListener::bind(address).await.unwrap();
    timeout(limit, listener.accept()).await.unwrap().unwrap();
    store.write(|state| state.deregister("a"));
    // What was already on its way may still arrive; then there is silence for longer than the interval.
    let mut late = 0;
    while late < 3 && timeout(Duration::from_secs(2), listener.accept()).await.is_ok() {
        late += 1;
    }
    assert!(late < 3, "the probe went on");
}
