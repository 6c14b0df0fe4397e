//! CPU time of processes, from `/proc` (proc(5)).

use std::{fs, time::Duration};

use anyhow::Context as _;

/// Clock ticks a second: fixed at 100 for user space on Linux.
const TICKS: u64 = 100;

/// Returns the CPU time that a process has used.
pub(crate) fn used(process: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold spaces: fields are counted from behind it.
    let (_, fields) = stat.rsplit_once(") ").context("stat has no name")?;
    let ticks = |index: usize| fields.split(' ').nth(index).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("stat is too short")?;
    Ok(Duration::from_millis((user + system) * 1_000 / TICKS))
}
