//! The way to a service.
//! STUB for the skeleton: the owner of the client path replaces it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tonic::body::Body;

use crate::{config::Config, discovery::Resolve, error::Error, telemetry::Telemetry};

/// The way to a service: what a tonic-generated client takes.
#[derive(Clone, Debug)]
pub struct Channel {
    service: Arc<str>,
}

/// Whether a method may be carried out more than once (`google.protobuf.MethodOptions.IdempotencyLevel`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// It may not.
    #[default]
    Unknown,
    /// It may: further times change nothing more.
    Idempotent,
    /// It may: it changes nothing at all.
    NoSideEffects,
}

/// What a call site says about one call; put it into the extensions of tonic's request.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Overrides what the descriptors say of the method.
    pub idempotency: Option<Idempotency>,
    /// Whether the method is unary; overrides what the descriptors say.
    pub unary: Option<bool>,
    /// Waits for a first instance until the deadline, not just for `client.endpoint_wait`.
    pub wait_for_ready: bool,
}

#[derive(Debug)]
pub(crate) struct Channels {}

impl Channels {
    pub(crate) fn new(_: &Config, _: &[&[u8]], _: Arc<dyn Resolve>, _: Telemetry) -> Result<Self, Error> {
        Ok(Self {})
    }

    pub(crate) fn get(&self, service: &str) -> Channel {
        Channel { service: service.into() }
    }
}

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let status = tonic::Status::unavailable(format!("{} is a stub", self.service));
        Box::pin(async move { Ok(status.into_http()) })
    }
}
