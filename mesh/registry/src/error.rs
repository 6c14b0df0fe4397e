//! Why the registry could not serve.

use std::{
    fmt::Display,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

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
    /// The folder, or the state in it, cannot be used.
    #[error("cannot keep the state in {}: {reason}; choose another folder, or none", path.display())]
    Folder {
        /// The folder or the file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The listener failed while it served.
    #[error("the registry at {0} stopped serving: {1}")]
    Serve(SocketAddr, #[source] io::Error),
}

impl Error {
    pub(crate) fn folder(path: &Path, reason: &dyn Display) -> Self {
        Self::Folder { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn listen(address: SocketAddr, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::AddrInUse { Self::InUse(address) } else { Self::Listen(address, error) }
    }
}
