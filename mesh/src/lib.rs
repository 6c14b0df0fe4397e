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
//! A call walks `channel → route → deadline → fault → mirror → hedge → retry → limit → cluster → endpoint → stream → wire`; a served
//! call walks `accept → trace → metrics → deadline → routes`. Each stop is one file.

mod mesh;

mod channel;
mod client;
mod server;

mod discovery;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod consul;
mod policy;
mod snapshot;

mod backoff;
mod batch;
mod config;
mod context;
mod error;
mod grpc_timeout;
mod keepalive;
mod message_limit;
mod random;
mod thread;

pub use crate::{
    channel::{Channel, explain::Explanation},
    client::call::{CallOptions, Tagged},
    config::{
        AdminConfig, ClientConfig, Config, DiscoveryConfig, LoginConfig, OtlpConfig, PolicyConfig, RegistryConfig,
        Secret, ServerConfig, TelemetryConfig, TracesConfig,
    },
    context::{Context, TraceContext},
    discovery::{Instance, Instances, Services},
    error::{Error, ErrorKind},
    mesh::{Builder, Mesh},
    policy::{
        affinity::{HashPolicy, ZonePolicy},
        cluster::{
            Balance, BreakerPolicy, BudgetPolicy, ClusterPolicy, FailurePercentage, FaultPolicy, LimitPolicy,
            OutlierPolicy, SuccessRate,
        },
        codes::Codes,
        document::{Document, document_schema},
        hash_field::HashField,
        hedge::HedgePolicy,
        method::{Idempotency, MethodPolicy, Origin, Policy, Priority, Sourced},
        mirror::MirrorPolicy,
    },
    server::{ConnectInfo, Serve},
    telemetry::{Telemetry, span::Span},
};
