//! What a scenario is made of.

use std::fmt;

/// One thing that is done on each side, with an outcome that is compared.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A request and its answer.
    Ask(Request, Compare),
    /// Asks until the answer contains a text.
    Until(Request, &'static str),
    /// Which of the resources have a greater index than at the last such step of the scenario.
    Rises(&'static [&'static str]),
    /// A blocking read, and the request that is to end it.
    Wakes { read: &'static str, by: Request },
    /// A blocking read with a short limit, and a request that is not to end it.
    Sleeps { read: &'static str, through: Request },
}

/// How much of an answer is compared; its status and headers always.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compare {
    Body,
    /// Up to the first colon: what follows is the words of a JSON library.
    Start,
    /// These members of a JSON body.
    Members(&'static [&'static str]),
    Nothing,
}

/// A request. `{own}` in the body stands for the address of the registry, `{grpc}` for that of a gRPC server, and
/// a body of `{big}` for more than a key may have; in the
/// path `{token}` for the token that may do everything, `{modified}` for the index at which the key last changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
}

/// Registrations of two instances of one service.
pub(crate) const A1: &str = r#"{"ID":"a1","Name":"a","Tags":["grpc","v1"],"Address":"10.0.0.7","Port":50051,"Meta":{"version":"v1"},
    "Checks":[{"CheckID":"a1:ttl","Name":"lease","TTL":"60s","Status":"passing","DeregisterCriticalServiceAfter":"1m"},
    {"CheckID":"a1:two","TTL":"60s","Notes":"second","Timeout":"2s"}]}"#;
pub(crate) const A2: &str = r#"{"ID":"a2","Name":"a","Tags":["grpc","V2"],"Port":50052}"#;

pub(crate) fn get(path: &'static str) -> Step {
    send("GET", path)
}

pub(crate) fn put(path: &'static str, body: &'static str) -> Step {
    Step::Ask(Request { method: "PUT", path, body }, Compare::Body)
}

pub(crate) fn send(method: &'static str, path: &'static str) -> Step {
    Step::Ask(Request { method, path, body: "" }, Compare::Body)
}

/// A read that is to be ended by a write.
pub(crate) fn wakes(read: &'static str, path: &'static str, body: &'static str) -> Step {
    Step::Wakes { read, by: Request { method: "PUT", path, body } }
}

/// A read that is to sleep through a write.
pub(crate) fn sleeps(read: &'static str, path: &'static str, body: &'static str) -> Step {
    Step::Sleeps { read, through: Request { method: "PUT", path, body } }
}

/// A registration.
pub(crate) fn register(body: &'static str) -> Step {
    put("/v1/agent/service/register", body)
}

/// A registration that is refused as no JSON of one.
pub(crate) fn undecoded(body: &'static str) -> Step {
    register(body).compare(Compare::Start)
}

pub(crate) fn until(path: &'static str, text: &'static str) -> Step {
    Step::Until(Request { method: "GET", path, body: "" }, text)
}

impl Step {
    /// Returns the request that is compared, or that is to end a read or not.
    pub(crate) fn request(&self) -> Option<Request> {
        match self {
            Self::Ask(request, _) | Self::Until(request, _) => Some(*request),
            Self::Wakes { by, .. } => Some(*by),
            Self::Sleeps { through, .. } => Some(*through),
            Self::Rises(_) => None,
        }
    }

    pub(crate) fn compare(self, compare: Compare) -> Self {
        match self {
            Self::Ask(request, _) => Self::Ask(request, compare),
            other => other,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.method, self.path, self.body)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(request, _) => write!(out, "{request}"),
            Self::Until(request, text) => write!(out, "{request}, until it has {text}"),
            Self::Rises(paths) => write!(out, "indexes that rose of {paths:?}"),
            Self::Wakes { read, by } => write!(out, "{read}, to be woken by {by}"),
            Self::Sleeps { read, through } => write!(out, "{read}, to sleep through {through}"),
        }
    }
}
