//! STUB: serving.

use std::future::{Future, IntoFuture};

use futures::future::BoxFuture;
use tonic::service::Routes;

use crate::{error::Error, mesh::Mesh};

/// A service about to be served; see [`Mesh::serve`]. Await it.
#[derive(Debug)]
pub struct Serve {
    mesh: Mesh,
    routes: Routes,
}

impl Serve {
    pub(crate) fn new(mesh: Mesh, routes: Routes) -> Self {
        Self { mesh, routes }
    }

    /// Serves until the future ends, and not until a signal.
    pub fn until(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        let _ = shutdown;
        self
    }

    /// Tells the address that is listened on, once instance is registered and passing.
    pub fn on_ready(self, ready: impl FnOnce(std::net::SocketAddr) + Send + 'static) -> Self {
        let _ = ready;
        self
    }
}

impl IntoFuture for Serve {
    type Output = Result<(), Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let _ = (self.mesh, self.routes);
            Ok(())
        })
    }
}
