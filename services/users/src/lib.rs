//! The users service: `selvedge.users.v1.UserService` on a database.
//!
//! A call walks [`rpc`] (messages) → [`domain`] (rules) → [`store`] (rows); what they hand on is a [`user`].

pub mod rpc;

pub mod domain;

pub mod store;

pub mod user;

pub mod error;

use std::{future::Future, net::SocketAddr};

use selvedge_kit::{Joined, Service};
pub use selvedge_kit::{Options, RunError};
use selvedge_proto::users::v1::{FILE_DESCRIPTOR_SET, user_service_server::UserServiceServer};
use tonic::{codec::CompressionEncoding, service::Routes};

use crate::{domain::Users, rpc::Rpc, store::Store};

/// The name under which the service is registered and called.
pub const SERVICE: &str = "users";

/// Serves users until `shutdown` ends, and then drains. `ready` is told the address once the instance is registered
/// and passing.
///
/// # Errors
///
/// [`RunError`] if the database cannot be opened, the mesh not be joined, or the listener fails.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<(), RunError> {
    let service = Service { descriptors: FILE_DESCRIPTOR_SET, upstream_descriptors: &[], schema: store::SCHEMA };
    let open = |Joined { mesh, database, cache, .. }| {
        routes(Users::new(Store::new(database).with_cache(cache)), mesh.config().server.max_message_bytes)
    };
    service.run(options, shutdown, ready, open).await
}

/// Returns the service as tonic routes, for messages of at most so many bytes.
#[must_use]
pub fn routes(users: Users, longest_message: usize) -> Routes {
    let server = UserServiceServer::new(Rpc::new(users))
        .max_decoding_message_size(longest_message)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Routes::new(server)
}

#[cfg(test)]
mod tests;
