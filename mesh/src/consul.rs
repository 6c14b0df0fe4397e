//! Consul's HTTP API, as much of it as the mesh needs. Consul's agent and the embedded registry are the same to it.

pub(crate) mod agent;
pub(crate) mod health;
pub(crate) mod kv;
pub(crate) mod polls;

mod http;
mod watch;

mod source;
mod turns;

mod agents;
mod login;
mod request;
mod standing;
mod tls;
mod token;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod logs;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::http::StatusCode;
use bytes::Bytes;

use crate::{
    config::RegistryConfig,
    consul::{
        agent::{AgentSelf, Beat, Registered, Registration},
        health::Entry,
        http::Http,
        kv::Pairs,
        polls::{Polls, Usage},
        request::{Answer, Cause, Failure, Request},
        standing::{Report, Standing},
    },
    error::{Error, ErrorKind},
};

/// A blocking query to Consul.
pub(crate) type Watch<T> = watch::Watch<T, Http>;

/// Names of services, and their tags.
pub(crate) type Catalog = BTreeMap<String, Option<Vec<String>>>;

/// Consul's agent, or one of several, or the embedded registry. Cheap to clone.
///
/// Errors are of the kind [`ErrorKind::Registry`] and name the agent's URL. That no agent can be reached is
/// logged here, once, and once when one is back: callers need not.
#[derive(Clone, Debug)]
pub(crate) struct Consul {
    http: Http,
    standing: Standing,
    /// Whose services are asked for; the agent's own datacenter if not named.
    datacenter: Option<String>,
    polls: Polls,
    /// The view of everything that is no watch.
    report: Arc<Mutex<Report>>,
}

impl Consul {
    /// Reads the TLS and token files; connects to nothing.
    pub(crate) fn new(config: &RegistryConfig) -> Result<Self, Error> {
        let polls = Polls::new();
        let http = Http::new(config, polls.clone())?;
        let standing = Standing::new(&http.describe_all());
        let report = Arc::new(Mutex::new(standing.report()));
        Ok(Self { http, standing, datacenter: config.datacenter.clone(), polls, report })
    }

    /// Registers an instance with the agent. `anew` puts it in place of what the agent knew of that id and its
    /// checks, which ends maintenance of that id: never once a drain began, nor for a registration that was lost.
    pub(crate) async fn register(&self, registration: &Registration, anew: bool) -> Result<(), Error> {
        let body = serde_json::to_vec(registration)
            .map_err(|error| Error::new(ErrorKind::Registry, format!("a registration that is no JSON: {error}")))?;
        let mut request = Request::put(&["agent", "service", "register"]);
        if anew {
            request = request.with("replace-existing-checks", "true");
        }
        request.body = Some(Bytes::from(body));
        self.send(&request).await?;
        Ok(())
    }

    /// Returns what the agent has registered under an id, if anything.
    pub(crate) async fn registered(&self, id: &str) -> Result<Option<Registered>, Error> {
        let answer = match self.send(&Request::get(&["agent", "service", id])).await {
            Ok(answer) => answer,
            Err(Failure { cause, .. }) if cause.is_status(&[StatusCode::NOT_FOUND]) => return Ok(None),
            Err(failure) => return Err(failure.error),
        };
        serde_json::from_slice(&answer.body).map_err(|error| {
            let told = format!(
                "{} gave an answer to GET /v1/agent/service/{id} that is no such JSON: {error}",
                self.describe()
            );
            Error::new(ErrorKind::Registry, told)
        })
    }

    /// Tells the agent that the instance behind a TTL check lives.
    pub(crate) async fn pass(&self, check_id: &str) -> Result<Beat, Error> {
        match self.send(&Request::put(&["agent", "check", "pass", check_id])).await {
            Ok(_) => Ok(Beat::Ok),
            // 404: unknown; 500: known, but with no TTL.
            Err(Failure { cause, .. })
                if cause.is_status(&[StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR]) =>
            {
                Ok(Beat::Lost)
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// Takes an instance out of everybody's discovery, or lets it in again.
    pub(crate) async fn maintenance(&self, id: &str, enable: bool, reason: &str) -> Result<(), Error> {
        let request = Request::put(&["agent", "service", "maintenance", id])
            .with("enable", if enable { "true" } else { "false" })
            .with("reason", reason);
        self.send(&request).await?;
        Ok(())
    }

    /// Removes an instance; one that the agent does not know is removed already.
    pub(crate) async fn deregister(&self, id: &str) -> Result<(), Error> {
        match self.send(&Request::put(&["agent", "service", "deregister", id])).await {
            Ok(_) => Ok(()),
            Err(Failure { cause, .. }) if cause.is_status(&[StatusCode::NOT_FOUND]) => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    /// Returns the IP address of the agent's node, by which others reach what registers without an address.
    pub(crate) async fn agent_address(&self) -> Result<String, Error> {
        let answer = self.send(&Request::get(&["agent", "self"])).await.map_err(|failure| {
            // The rights of a service identity do not include it.
            let advice = if failure.is_refusal() { "; grant agent:read, or set server.advertise" } else { "" };
            Error::new(ErrorKind::Registry, format!("{}{advice}", failure.error))
        })?;
        let found: AgentSelf = serde_json::from_slice(&answer.body).map_err(|error| {
            let told = format!("{} does not say its address at GET /v1/agent/self: {error}", self.describe());
            Error::new(ErrorKind::Registry, told)
        })?;
        Ok(found.member.address)
    }

    /// Whether anybody answers, whatever it is.
    pub(crate) async fn reach(&self) -> Result<(), Error> {
        match self.send(&Request::get(&["status", "leader"])).await {
            Ok(_) | Err(Failure { cause: Cause::Status(_) | Cause::UnknownToken, .. }) => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    /// Whether somebody answers as Consul does; it is not logged.
    pub(crate) async fn answers(&self) -> Result<(), Error> {
        Ok(self.http.send(&Request::get(&["status", "leader"])).await.map(drop)?)
    }

    /// Gives up the token that a login brought; what is asked later logs in anew.
    pub(crate) async fn log_out(&self) -> Result<(), Error> {
        Ok(self.http.log_out().await?)
    }

    /// Follows the instances of a service with their checks, healthy or not; `usage` is when it was called.
    pub(crate) fn watch_instances(&self, service: &str, wait: Duration, usage: Usage) -> Watch<Vec<Entry>> {
        let request = Request { nothing: Some("Service.ID == \"\""), ..Request::get(&["health", "service", service]) };
        self.watch(request, wait).seated(self.polls.clone(), Some(usage))
    }

    /// Follows the names and tags of all services.
    pub(crate) fn watch_services(&self, wait: Duration) -> Watch<Catalog> {
        self.watch(Request::get(&["catalog", "services"]), wait).seated(self.polls.clone(), None)
    }

    /// Follows all pairs whose key begins with a prefix, which ends with a slash.
    pub(crate) fn watch_keys(&self, prefix: &str, wait: Duration) -> Watch<Pairs> {
        let path: Vec<_> = std::iter::once("kv").chain(prefix.split('/')).collect();
        let request = Request { or_null: true, ..Request::get(&path).with("recurse", "") };
        self.watch(request, wait).seated(self.polls.clone(), None)
    }

    /// Whether the last single request found nobody: that has been logged.
    pub(crate) fn is_gone(&self) -> bool {
        self.report().is_gone()
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where it is, for errors and logs: `consul at http://127.0.0.1:8500`.
    pub(crate) fn describe(&self) -> String {
        self.http.describe()
    }

    /// Any server may answer (`stale`): discovery goes on while there is no leader.
    fn watch<T: serde::de::DeserializeOwned>(&self, request: Request, wait: Duration) -> Watch<T> {
        let request = match &self.datacenter {
            Some(datacenter) => request.with("dc", datacenter),
            None => request,
        };
        Watch::new(self.http.clone(), request.with("stale", ""), wait, self.standing.report())
    }

    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let result = self.http.send(request).await;
        let mut report = self.report();
        match &result {
            // Whatever it answered, it is there; the caller knows what to make of it.
            Ok(_) | Err(Failure { cause: Cause::Status(_), .. }) => report.succeeded(),
            Err(failure) => report.failed(failure),
        }
        drop(report);
        result
    }
}
