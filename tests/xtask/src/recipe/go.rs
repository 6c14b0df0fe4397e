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

pub(crate) fn consul(version: &str, folder: &Path) -> Result<()> {
    wrapped_consul("consul", version, folder)
}

pub(crate) fn older_consul(version: &str, folder: &Path) -> Result<()> {
    wrapped_consul("older-consul", version, folder)
}

/// `go install` refuses Consul, because of replace directives: it is built from a module that wraps it.
fn wrapped_consul(name: &str, version: &str, folder: &Path) -> Result<()> {
    let module = format!("github.com/hashicorp/consul@v{version}");
    fs::copy(repository().join("tests/tools").join(name).join("go.mod"), folder.join("go.mod"))?;
    let caught = "go is needed to build consul";
    output(go(folder).args(["mod", "download", &module])).context(caught)?;
    let cache = output(go(folder).args(["env", "GOMODCACHE"]))?;
    // Read and written, not copied: the cache is read-only, and Go adds to the sums.
    let sums = fs::read(Path::new(cache.trim()).join(&module).join("go.sum")).context("consul has no go.sum")?;
    fs::write(folder.join("go.sum"), sums)?;
    let mut build = go(folder);
    build.args(["build", "-p", "2", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", name]);
    output(build.arg("github.com/hashicorp/consul")).context(caught).map(drop)
}

/// The OpenTelemetry Collector is put together from the parts that the tests need: OTLP in, files out.
pub(crate) fn otel_collector(version: &str, folder: &Path) -> Result<()> {
    let source = repository().join("tests/tools/otel-collector");
    for file in ["go.mod", "go.sum", "main.go"] {
        fs::copy(source.join(file), folder.join(file)).with_context(|| format!("otel-collector has no {file}"))?;
    }
    let mut build = go(folder);
    build.args(["build", "-p", "2", "-trimpath", "-buildvcs=false"]);
    build.args([&format!("-ldflags=-s -w -X main.version={version}"), "-o", "otel-collector", "."]);
    output(&mut build).context("go is needed to build otel-collector").map(drop)
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
    fn the_wrapped_consuls_are_the_pinned_ones() {
        for name in ["consul", "older-consul"] {
            let module = repository().join("tests/tools").join(name).join("go.mod");
            let consul = TOOLS.iter().find(|tool| tool.name == name).unwrap();
            let required = format!("require github.com/hashicorp/consul v{}\n", (consul.version)().unwrap());
            assert!(fs::read_to_string(module).unwrap().contains(&required), "{required}");
        }
    }

    #[test]
    fn the_parts_of_the_collector_are_of_the_pinned_version() {
        let module = fs::read_to_string(repository().join("tests/tools/otel-collector/go.mod")).unwrap();
        let collector = TOOLS.iter().find(|tool| tool.name == "otel-collector").unwrap();
        let required = format!("go.opentelemetry.io/collector/otelcol v{}\n", (collector.version)().unwrap());
        assert!(module.contains(&required), "{required}");
    }
}
