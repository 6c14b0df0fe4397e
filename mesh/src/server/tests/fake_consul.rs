//! A server that answers as Consul's agent does, and remembers what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{Method, StatusCode, Uri},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

use super::soon;
use crate::config::Config;

/// How the agent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// It does what it is asked.
    #[default]
    Willing,
    /// It takes registrations, and forgets them at once.
    Forgetful,
    /// It knows the last registration of an id, and no check but that one's.
    Pruning,
    /// It forbids everything.
    Forbidding,
    /// It answers 500.
    Refusing,
    /// It does not answer.
    Silent,
}

#[derive(Clone, Debug)]
pub(super) struct FakeConsul {
    address: SocketAddr,
    asked: watch::Sender<Vec<String>>,
    registrations: Arc<Mutex<Vec<Value>>>,
    /// The path by which an id was looked up last.
    looked_up: Arc<Mutex<String>>,
    mood: watch::Sender<Mood>,
}

impl FakeConsul {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            asked: watch::Sender::default(),
            registrations: Arc::default(),
            looked_up: Arc::default(),
            mood: watch::Sender::default(),
        };
        let agent = fake.clone();
        let router = Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
            let agent = agent.clone();
            async move { agent.answer(&method, &uri, &body).await }
        });
        tokio::spawn(async { axum::serve(listener, router).await });
        fake
    }

    /// Settings of an instance that has this agent, and does not wait long for anything.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new("echo");
        config.registry.address = format!("http://{}", self.address);
        config.server.drain.propagation = Duration::ZERO;
        config
    }

    pub(super) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Returns what was asked, each without what is after the first segment that varies.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    pub(super) async fn was_asked(&self, what: &str, times: usize) {
        let mut asked = self.asked.subscribe();
        let enough = |asked: &Vec<String>| asked.iter().filter(|path| *path == what).count() >= times;
        soon(asked.wait_for(enough)).await.unwrap();
    }

    /// Where the instance is whose id was looked up last.
    pub(super) fn last_looked_up(&self) -> SocketAddr {
        let path = self.looked_up.lock().unwrap().clone();
        let (host, port) = path.strip_prefix("/v1/agent/service/echo-").unwrap().rsplit_once('-').unwrap();
        format!("{host}:{port}").parse().unwrap()
    }

    /// Registers as another would.
    pub(super) fn register(&self, registration: Value) {
        self.registrations.lock().unwrap().push(registration);
    }

    fn knows_check(&self, path: &str) -> bool {
        let last = self.last_registration();
        path.ends_with(last["Checks"][0]["CheckID"].as_str().unwrap())
    }

    pub(super) fn last_registration(&self) -> Value {
        self.registrations.lock().unwrap().last().cloned().unwrap()
    }

    /// What is registered under an id.
    async fn registered(&self, id: &str) -> (StatusCode, String) {
        let mood = *self.mood.borrow();
        let known = self.registrations.lock().unwrap().iter().rev().find(|one| one["ID"] == id).cloned();
        match (mood, known) {
            (Mood::Silent, _) => std::future::pending().await,
            (Mood::Forbidding, _) => (StatusCode::FORBIDDEN, "Permission denied".into()),
            (Mood::Refusing, _) => (StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader".into()),
            (Mood::Willing | Mood::Pruning, Some(mut one)) => {
                one["Service"] = one["Name"].take();
                (StatusCode::OK, one.to_string())
            }
            _ => (StatusCode::NOT_FOUND, "Unknown service ID".into()),
        }
    }

    async fn answer(&self, method: &Method, uri: &Uri, body: &[u8]) -> (StatusCode, String) {
        if *method == Method::GET && uri.path().starts_with("/v1/agent/service/") {
            self.asked.send_modify(|asked| asked.push("registered".into()));
            *self.looked_up.lock().unwrap() = uri.path().to_owned();
            return self.registered(uri.path().trim_start_matches("/v1/agent/service/")).await;
        }
        let what = uri.path().trim_start_matches("/v1/agent/");
        let what = what.strip_prefix("service/").or(what.strip_prefix("check/")).unwrap_or(what);
        let what = what.split('/').next().unwrap().to_owned();
        let known = matches!(what.as_str(), "register" | "pass" | "maintenance" | "deregister" | "self");
        if known {
            assert!(what == "self" || method == Method::PUT, "{method} {uri}");
            if what == "register" {
                self.registrations.lock().unwrap().push(serde_json::from_slice(body).unwrap());
            }
            self.asked.send_modify(|asked| asked.push(what.clone()));
        }
        let mood = *self.mood.borrow();
        let (status, text) = match (mood, what.as_str()) {
            (Mood::Silent, _) => std::future::pending().await,
            (Mood::Forbidding, _) => (StatusCode::FORBIDDEN, "Permission denied"),
            (Mood::Refusing, _) => (StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"),
            (Mood::Pruning, "pass") if !self.knows_check(uri.path()) => (StatusCode::NOT_FOUND, "Unknown check ID"),
            (Mood::Forgetful, "pass") => (StatusCode::NOT_FOUND, "Unknown check ID"),
            (_, "self") => (StatusCode::OK, r#"{"Config":{},"Member":{"Addr":"127.0.0.1"}}"#),
            _ => (StatusCode::OK, ""),
        };
        (status, text.into())
    }
}
