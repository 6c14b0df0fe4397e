//! Tools that are packages of Debian.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{command::output, recipe::files::link};

/// Its programs lie in a folder that is not on `PATH`.
pub(crate) fn postgres(version: &str, folder: &Path) -> Result<()> {
    let programs = PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    package(&format!("postgresql-{version}"), &programs.join("postgres"))?;
    link(&programs, &folder.join("bin"))
}

pub(crate) fn redis(_: &str, folder: &Path) -> Result<()> {
    let program = Path::new("/usr/bin/redis-server");
    package("redis-server", program)?;
    let programs = folder.join("bin");
    std::fs::create_dir(&programs)?;
    link(program, &programs.join("redis-server"))
}

pub(crate) fn chromium(_: &str, folder: &Path) -> Result<()> {
    let program = Path::new("/usr/bin/chromium");
    package("chromium", program)?;
    link(program, &folder.join("chromium"))
}

/// Installs a package, if the program that it brings is missing.
fn package(name: &str, program: &Path) -> Result<()> {
    if program.is_file() {
        return Ok(());
    }
    let hint = || format!("install {name} as root: `apt-get install {name}`");
    // A fresh machine knows no packages yet.
    output(std::process::Command::new("apt-get").arg("update")).with_context(hint)?;
    let mut install = std::process::Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "--yes", "--no-install-recommends"]);
    output(install.arg(name)).with_context(hint).map(drop)
}
