//! Tools that Cargo builds.

use std::path::Path;

use anyhow::Result;

use crate::command::{cargo, output};

pub(crate) fn deny(version: &str, folder: &Path) -> Result<()> {
    let mut install = cargo();
    install.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    install.args(["install", "--locked", "cargo-deny", "--version", version, "--root"]).arg(folder);
    output(&mut install).map(drop)
}
