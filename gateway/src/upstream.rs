//! The services behind the gateway: those of the mesh, and its own.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::ServiceExt as _;

use crate::{reflection::Local, schema::Target};

/// Carries gRPC requests to services by their name in the registry. Failures are answers too: trailers-only ones.
pub(crate) trait Upstream: fmt::Debug + Send + Sync {
    /// Sends one request to a service.
    fn call(&self, service: &str, request: Request<Body>) -> BoxFuture<'static, Response<Body>>;
}

impl Upstream for selvedge::Mesh {
    fn call(&self, service: &str, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        let channel = self.channel(service);
        Box::pin(async move {
            match channel.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    }
}

/// All services behind the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    pub(crate) mesh: Arc<dyn Upstream>,
    pub(crate) own: Local,
}

impl Upstreams {
    /// Sends one request to its target.
    pub(crate) async fn call(&self, target: &Target, mut request: Request<Body>) -> Response<Body> {
        match target {
            Target::Own => self.own.call(request).await,
            Target::Service { method, tagged } => {
                request.extensions_mut().insert(method.options);
                if let Some(tagged) = tagged {
                    request.extensions_mut().insert(tagged.clone());
                }
                self.mesh.call(&method.service, request).await
            }
        }
    }
}
