//! Why the registry could not serve.

use std::{io, net::SocketAddr};

/// A failure of the registry as a whole; what a request gets is an answer of the API instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody listens at the address.
    #[error(
        "cannot listen on {0}: in use; if a Consul runs there, use it in place of this registry, or choose another address"
    )]
    InUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}; choose another address")]
    Listen(SocketAddr, #[source] io::Error),
    /// The listener failed while it served.
    #[error("the registry at {0} stopped serving: {1}")]
    Serve(SocketAddr, #[source] io::Error),
}

impl Error {
    pub(crate) fn listen(address: SocketAddr, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::AddrInUse { Self::InUse(address) } else { Self::Listen(address, error) }
    }
}
