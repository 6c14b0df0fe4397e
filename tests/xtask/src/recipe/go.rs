//! Tools that Go builds.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{command::output, folders::repository};

pub(crate) fn grpcurl(version: &str, folder: &Path) -> Result<()> {
    let package = format!("github.com/fullstorydev/grpcurl/cmd/grpcurl@v{version}");
    let ldflags = format!("-ldflags=-s -w -X main.version=v{version}");
    let mut install = go(folder);
    install.env("GOBIN", folder).args(["install", "-trimpath", &ldflags, &package]);
    output(&mut install).context("go is needed to build grpcurl").map(drop)
}

/// `go install` refuses Consul, because of replace directives: it is built from a module that wraps it.
pub(crate) fn consul(version: &str, folder: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::TOOLS;

    #[test]
    fn the_wrapped_consul_is_the_pinned_one() {
        let module = fs::read_to_string(repository().join("tests/tools/consul/go.mod")).unwrap();
        let consul = TOOLS.iter().find(|tool| tool.name == "consul").unwrap();
        let required = format!("require github.com/hashicorp/consul v{}\n", (consul.version)().unwrap());
        assert!(module.contains(&required), "{required}");
    }
}
