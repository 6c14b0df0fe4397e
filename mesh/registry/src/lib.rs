//! A registry for one machine that speaks the part of Consul's HTTP API that a mesh needs.
//!
//! ```no_run
//! # async fn run() -> Result<(), selvedge_registry::Error> {
//! use selvedge_registry::{Config, Registry};
//!
//! let registry = Registry::bind(Config::default()).await?;
//! println!("http://{}", registry.local_addr());
//! registry.run(std::future::pending()).await
//! # }
//! ```
//!
//! A request walks `routes → agent | catalog | health | kv → store`. A write changes the `state`, which counts an
//! index per resource; a blocking read waits in `blocking` until the index of its resource passes the one it
//! names. Beside the requests run three parts: `keeper` (leases that end, services that are reaped), `check`
//! (probes of gRPC, HTTP and TCP) and, where there is a folder, `disk`. Facts about the API: Consul's documentation, "HTTP API"; what differs from it
//! stands at the differing code.

mod registry;
mod routes;

mod acl;
mod agent;
mod catalog;
mod health;
mod kv;
mod status;

mod faults;

mod access;
mod blocking;
mod filter;
mod query;
mod wire;

mod check;
mod keeper;

mod disk;
mod store;

mod state;

mod definition;
mod record;

mod answer;
mod duration;
mod error;

pub use crate::{
    error::Error,
    registry::{Config, Registry},
    routes::endpoints,
};
