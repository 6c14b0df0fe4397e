//! Benchmarks, side by side with peers in one run. They print ratios, and assert nothing.

mod awake;
mod chaos;
mod convergence;
mod cpu;
mod echo;
mod envoy;
mod figures;
mod gateway;
mod mesh;
mod server;
mod services;

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::{awake::Awake, server::Make};

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A call by Selvedge against one by tonic's channels and through Envoy
    Mesh {
        #[command(flatten)]
        plan: mesh::Plan,
    },
    /// The gateway beside Envoy's gRPC-Web and JSON filters, and tonic-web in the server
    Gateway {
        #[command(flatten)]
        plan: gateway::Plan,
    },
    /// Serves the orders that gateways pass on (for the benchmark itself)
    #[command(hide = true)]
    GatewayServer {
        /// Speaks gRPC-Web itself, over HTTP/1.1
        #[arg(long)]
        web: bool,
    },
    /// Calls while instances are slow, fail, freeze and come back
    Chaos {
        /// Seconds of each phase
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Serves the echo service as well as it is told to (for the benchmark itself)
    #[command(hide = true)]
    ChaosServer {
        #[arg(long)]
        registry: String,
    },
    /// How soon a change in the registry is one of calls; embedded and Consul
    Convergence {
        #[command(flatten)]
        plan: convergence::Plan,
    },
    /// The services at size, on both engines, beside the same statements straight to the engine
    Services {
        #[command(flatten)]
        plan: services::Plan,
    },
    /// Serves users or catalog (for the benchmark itself)
    #[command(hide = true)]
    ServeService {
        #[command(flatten)]
        told: services::Serve,
    },
    /// Sends the statements of users and catalog (for the benchmark itself)
    #[command(hide = true)]
    ServeFloor {
        #[command(flatten)]
        told: services::ServeFloor,
    },
    /// Serves the embedded registry (for the benchmark itself)
    #[command(hide = true)]
    Registry,
    /// Tells how many instances of a large service a mesh sees, or how many services (for the benchmark itself)
    #[command(hide = true)]
    Observe {
        #[arg(long)]
        registry: String,
        #[arg(long)]
        services: Option<usize>,
    },
    /// Serves the echo service (for the benchmark itself)
    #[command(hide = true)]
    Serve {
        make: Make,
        #[arg(long)]
        registry: String,
    },
}

impl What {
    /// Whether it measures, and is not a part of what is measured.
    fn measures(&self) -> bool {
        matches!(
            self,
            Self::Mesh { .. }
                | Self::Gateway { .. }
                | Self::Chaos { .. }
                | Self::Convergence { .. }
                | Self::Services { .. }
        )
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let what = Options::parse().what;
    let _awake = what.measures().then(Awake::hold);
    match what {
        What::Mesh { plan } => mesh::run(plan).await,
        What::Gateway { plan } => gateway::run(plan).await,
        What::GatewayServer { web } => gateway::orders::serve(web).await,
        What::Chaos { seconds } => chaos::run(Duration::from_secs(seconds)).await,
        What::ChaosServer { registry } => chaos::subject::run(&registry).await,
        What::Convergence { plan } => convergence::run(plan).await,
        What::Services { plan } => services::run(plan).await,
        What::ServeService { told } => services::serve(told).await,
        What::ServeFloor { told } => services::serve_floor(told).await,
        What::Registry => convergence::engine::serve().await,
        What::Observe { registry, services } => convergence::observer::observe(&registry, services).await,
        What::Serve { make, registry } => server::run(make, &registry).await,
    }
}
