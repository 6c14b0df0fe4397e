//! A process of its own that does nothing but use the mesh: what it costs can be measured from outside.
//!
//! It is this test binary again, in which the test that started it plays the other part.

use std::{env, fs};

use anyhow::{Context as _, Result};
use selvedge_harness::Program;

/// Tells the test that it is to play the part of the child, and where the registry is.
const REGISTRY: &str = "SELVEDGE_TEST_CHILD_REGISTRY";

/// Returns where the registry is, if this process is the child.
pub(crate) fn registry() -> Option<String> {
    env::var(REGISTRY).ok()
}

/// Starts the child of a test.
pub(crate) fn start(test: &str, registry: &str) -> Result<Program> {
    let path = env::current_exe().context("cannot tell the path of this test")?;
    Program::spawn(path, &["--exact", test, "--nocapture", "--test-threads=1"], &[(REGISTRY, registry)])
}

/// What a process costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Memory that it holds, in KiB.
    pub(crate) memory: u64,
    /// Time of CPUs that it took since its start, in ticks of 10 ms.
    pub(crate) ticks: u64,
    /// Sockets that it has open.
    pub(crate) sockets: usize,
}

impl Cost {
    pub(crate) fn of(program: &Program) -> Result<Self> {
        let folder = format!("/proc/{}", program.id().context("it has ended")?);
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let memory = memory.trim().trim_end_matches(" kB").parse()?;
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        // After the name, which may hold anything: state is the first, utime the 12th, stime the 13th.
        let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        let links =
            fs::read_dir(format!("{folder}/fd"))?.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
        Ok(Self { memory, ticks, sockets })
    }
}
