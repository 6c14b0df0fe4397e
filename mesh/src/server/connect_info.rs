//! Who is at the other end of a connection.

use std::net::SocketAddr;

/// The other end of the connection that a call came over; it is in the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The address that the connection came from.
    pub remote: SocketAddr,
}

impl ConnectInfo {
    pub(crate) fn new(remote: SocketAddr) -> Self {
        Self { remote }
    }
}
