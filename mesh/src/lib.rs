//! A gRPC service mesh that needs no sidecar.
//!
//! ```no_run
//! # async fn run(routes: tonic::service::Routes) -> Result<(), selvedge::Error> {
//! let mesh = selvedge::Mesh::from_env("catalog")?; // who we are, and where Consul is
//! let users = mesh.channel("users"); // any tonic-generated client takes it
//! mesh.serve(routes).await // registers, serves, drains on SIGTERM
//! # }
//! ```
//!
//! A call walks `channel → route → deadline → fault → retry → limit → cluster → endpoint → stream → wire`; a served
//! call walks `accept → trace → metrics → deadline → routes`. Each stop is one file.

mod mesh;

mod channel;
mod client;
mod server;

mod discovery;
mod telemetry;

mod consul;
mod policy;
mod snapshot;

mod backoff;
mod config;
mod context;
mod error;
mod grpc_timeout;
mod keepalive;
mod message_limit;

pub use crate::{
    channel::Channel,
    client::call::CallOptions,
    config::{ClientConfig, Config, DiscoveryConfig, RegistryConfig, Secret, ServerConfig},
    context::{Context, TraceContext},
    discovery::{Instance, Instances, Services},
    error::{Error, ErrorKind},
    mesh::{Builder, Mesh},
    policy::{
        cluster::{
            Balance, BreakerPolicy, ClusterPolicy, FailurePercentage, FaultPolicy, LimitPolicy, OutlierPolicy,
            SuccessRate,
        },
        codes::Codes,
        method::{Idempotency, MethodPolicy, Origin, Policy, Sourced},
    },
    server::{ConnectInfo, Serve},
    telemetry::Telemetry,
};
