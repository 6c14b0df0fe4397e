//! A small Consul for tests: answers as it is told, remembers what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::config::RegistryConfig;

/// A server on a port of its own. When it is stopped or dropped all of its connections end.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) url: String,
    shared: Arc<Shared>,
    /// Its own, because only with it do all of its connections end.
    runtime: Option<Runtime>,
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method, path and query as one text: `PUT /v1/agent/check/pass/a`.
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Option<Value>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    scripted: Mutex<VecDeque<(StatusCode, Option<u64>, String)>>,
    /// What each path answers, with its index, when nothing is scripted.
    data: watch::Sender<HashMap<String, (u64, Value)>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// Starts at an address that may have been another's before.
    pub(crate) fn start_at(address: &str) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).unwrap(), app).await.unwrap() });
        Self { url, shared, runtime: Some(runtime) }
    }

    /// Returns the settings of a client.
    pub(crate) fn config(&self) -> RegistryConfig {
        RegistryConfig { address: self.url.clone(), ..RegistryConfig::default() }
    }

    /// Sets what a path answers from now on; requests that wait for news are answered.
    pub(crate) fn set(&self, path: &str, index: u64, body: Value) {
        self.shared.data.send_modify(|data| {
            data.insert(path.to_owned(), (index, body));
        });
    }

    /// Adds an answer that is given once, at once, before all others.
    pub(crate) fn script(&self, status: u16, index: Option<u64>, body: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        self.shared.scripted.lock().unwrap().push_back((status, index, body.to_owned()));
    }

    /// Returns the requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Waits until that many requests came, and returns them.
    pub(crate) async fn asked_at_least(&self, count: usize) -> Vec<Asked> {
        let wait = async {
            while self.asked().len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.expect("as many requests as expected");
        self.asked()
    }

    /// Ends the server and all of its connections; returns the address.
    pub(crate) async fn stop(mut self) -> String {
        let runtime = self.runtime.take().unwrap();
        spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
        self.url.trim_start_matches("http://").to_owned()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let token = headers.get("X-Consul-Token").map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked { line: format!("{method} {uri}"), token, body: serde_json::from_slice(&body).ok() };
    shared.asked.lock().unwrap().push(asked);
    let scripted = shared.scripted.lock().unwrap().pop_front();
    if let Some((status, index, body)) = scripted {
        return with_index(status, index, body);
    }
    let known = wait_for_news(&shared, uri.path(), &query).await;
    let (index, value) = known.unwrap_or_default();
    with_index(StatusCode::OK, Some(index), value.to_string())
}

async fn wait_for_news(shared: &Shared, path: &str, query: &HashMap<String, String>) -> Option<(u64, Value)> {
    let index: u64 = query.get("index").map_or(0, |text| text.parse().unwrap());
    let wait = query.get("wait").map_or(0, |text| text.trim_end_matches("ms").parse().unwrap());
    let mut data = shared.data.subscribe();
    let news = data.wait_for(|data| index == 0 || data.get(path).is_some_and(|(now, _)| *now != index));
    let _ = timeout(Duration::from_millis(wait), news).await;
    data.borrow().get(path).cloned()
}

fn with_index(status: StatusCode, index: Option<u64>, body: String) -> Response {
    let mut response = (status, body).into_response();
    if let Some(index) = index {
        response.headers_mut().insert("X-Consul-Index", index.into());
    }
    if status.is_redirection() {
        response.headers_mut().insert("Location", HeaderValue::from_static("/v1/elsewhere"));
    }
    response
}
