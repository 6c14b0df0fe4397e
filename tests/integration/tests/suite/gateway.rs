//! The gateway as a process of its own.

use selvedge_harness::{LIMIT, Program, eventually};

use crate::instance::address_after;

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    _program: Program,
    /// Where clients are served, as `http://127.0.0.1:8080`.
    pub(crate) url: String,
}

impl Gateway {
    /// Starts one, with more options, and waits until it answers this path with success.
    pub(crate) async fn start(registry: &str, options: &[&str], path: &str) -> anyhow::Result<Self> {
        let args = ["--registry", registry, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let program = Program::spawn("selvedge-gateway", &[&args, options].concat(), &[])?;
        let url = format!("http://{}", address_after(&program, "gateway listens").await?);
        let http = reqwest::Client::new();
        eventually(LIMIT, async || Ok(http.get(format!("{url}{path}")).send().await?.error_for_status().map(drop)?))
            .await?;
        Ok(Self { _program: program, url })
    }
}
