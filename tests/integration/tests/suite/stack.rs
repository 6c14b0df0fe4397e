//! The stack as `cargo run` starts it, as a program of its own on free ports.

use std::time::Duration;

use anyhow::Context as _;
use selvedge_harness::{Consul, Program};
use tempfile::TempDir;

/// A running stack and where its parts are.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) program: Program,
    pub(crate) registry: String,
    pub(crate) gateway: String,
    pub(crate) admin: String,
    pub(crate) users: Vec<String>,
    pub(crate) catalog: Vec<String>,
    _data: Option<TempDir>,
    _consul: Option<Consul>,
}

const READY: Duration = Duration::from_secs(60);

impl Stack {
    /// Starts it on the embedded registry.
    pub(crate) async fn embedded() -> anyhow::Result<Self> {
        let data = TempDir::new()?;
        let args = ["--registry-listen", "127.0.0.1:0", "--data-dir", path(&data)];
        let mut stack = Self::start(&args).await?;
        stack._data = Some(data);
        Ok(stack)
    }

    /// Starts it on a real Consul, which ends with it.
    pub(crate) async fn on_consul(consul: Consul) -> anyhow::Result<Self> {
        let data = TempDir::new()?;
        let mut stack = Self::start(&["--registry", &consul.url(), "--data-dir", path(&data)]).await?;
        stack._data = Some(data);
        stack._consul = Some(consul);
        Ok(stack)
    }

    /// Starts it with these options, gateway and admin on free ports.
    pub(crate) async fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::start_with(args, &[]).await
    }

    /// Does the same, with these variables in its environment.
    pub(crate) async fn start_with(args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<Self> {
        let args = [&["--gateway-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], args].concat();
        let program = Program::spawn("selvedge-local", &args, envs)?;
        program.wait_for_line(|line| line.starts_with("ready in "), READY).await?;
        let told = |what: &str| {
            let prefix = format!("  {what} ");
            let printed = program.stdout();
            let line = printed.lines().find_map(|line| line.strip_prefix(&prefix));
            line.map(|line| line.trim().to_owned()).with_context(|| format!("{what} is not printed"))
        };
        let first = |text: String| text.split(' ').next().unwrap_or_default().to_owned();
        let registry = first(told("registry")?);
        let gateway = told("gateway")?;
        let admin = told("admin")?.trim_end_matches("/metrics").to_owned();
        let each = |text: String| text.split(", ").map(str::to_owned).collect();
        let (users, catalog) = (each(told("users")?), each(told("catalog")?));
        Ok(Self { program, registry, gateway, admin, users, catalog, _data: None, _consul: None })
    }

    /// Everything printed so far, for a failed assertion.
    pub(crate) fn output(&self) -> String {
        output(&self.program)
    }

    /// The gateway's address without the scheme, as grpcurl takes it.
    pub(crate) fn gateway_address(&self) -> &str {
        self.gateway.trim_start_matches("http://")
    }
}

pub(crate) fn path(dir: &TempDir) -> &str {
    dir.path().to_str().expect("temporary folders have plain names")
}

/// Everything that a program printed so far.
pub(crate) fn output(program: &Program) -> String {
    program.lines().into_iter().map(|line| line.text + "\n").collect()
}
