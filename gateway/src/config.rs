//! What a gateway is told at its start, with defaults.

mod json;

use std::{net::SocketAddr, time::Duration};

use selvedge::Telemetry;

pub use self::json::{JsonFormat, JsonFormatError, JsonFormats, json_format};

/// Everything that one gateway is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mesh that is opened; its service name is the gateway's own and is never exposed.
    pub mesh: selvedge::Config,
    /// Where clients are served. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Which services are reachable. Default [`Expose::Tagged`].
    pub expose: Expose,
    /// Which web pages may read answers. Default [`Origins::Any`].
    pub cors: Origins,
    /// How the JSON of services is read and written, over what they say themselves. Default: nothing.
    pub json: JsonFormats,
    /// How much one client may ask for.
    pub limits: Limits,
    /// Instruments shared with others of the process; own ones if none.
    pub telemetry: Option<Telemetry>,
}

impl Options {
    /// Returns the defaults for a mesh.
    #[must_use]
    pub fn new(mesh: selvedge::Config) -> Self {
        Self {
            mesh,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            expose: Expose::default(),
            cors: Origins::default(),
            json: JsonFormats::new(),
            limits: Limits::default(),
            telemetry: None,
        }
    }
}

/// Which services of the registry are reachable from outside. All of them need the tag `grpc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Expose {
    /// Those that also carry the tag `gateway`.
    #[default]
    Tagged,
    /// Every service with the tag `grpc`.
    All,
}

impl Expose {
    /// Tells whether a service with these tags is reachable.
    pub(crate) fn admits(self, tags: &[String]) -> bool {
        let has = |wanted: &str| tags.iter().any(|tag| tag == wanted);
        has("grpc") && (self == Self::All || has("gateway"))
    }
}

/// Which web pages may read answers (CORS, Fetch standard section 3.2).
///
/// Credentials are never allowed: the gateway knows no cookies, and a page that wants to act for somebody must hold
/// that somebody's token and send it in `authorization`. That makes any origin safe for a gateway whose services
/// ask for a token; one that relies on being unreachable from outside should list its origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every page.
    #[default]
    Any,
    /// Pages of these origins, such as `https://shop.example`.
    Only(Vec<String>),
    /// No page of another origin.
    None,
}

/// How much one client may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body of a REST or gRPC-Web request, in bytes. Default 4 MiB.
    pub body_bytes: usize,
    /// How many bytes of bodies all requests hold together: of requests that are read whole, and of answers that are
    /// written as JSON. A request or an answer over that is refused with 503 and RESOURCE_EXHAUSTED before more of it is
    /// read. Default 256 MiB.
    pub held_bytes: usize,
    /// Largest list of request headers, in bytes. Default 16 KiB.
    pub header_bytes: u32,
    /// Time from opening to the first byte, and from the first byte of a request to the end of its headers. Default
    /// 10 s.
    pub header_timeout: Duration,
    /// How long an HTTP/1.1 connection may be without a request: longer than clients and proxies keep theirs, or they
    /// send a request into the closing. HTTP/2 connections stay while pings are answered. Default 120 s.
    pub idle_timeout: Duration,
    /// Time to the end of the body of a REST or gRPC-Web request. Default 30 s.
    pub body_timeout: Duration,
    /// Connections at once; beyond that new ones wait in the system's queue. Default 10,000.
    pub connections: usize,
    /// Requests at once on one HTTP/2 connection. Default 1,000.
    pub streams: u32,
    /// How long requests that run get to end when the gateway leaves. Default 30 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            held_bytes: 256 * 1024 * 1024,
            header_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(30),
            connections: 10_000,
            streams: 1_000,
            grace: Duration::from_secs(30),
        }
    }
}
