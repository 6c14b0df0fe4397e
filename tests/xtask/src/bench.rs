//! The benchmarks.

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{command::cargo, install::ensure, recipe::TOOLS};

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Subject {
    /// A call by Selvedge against tonic's channel and Envoy
    Mesh,
    /// The gateway beside Envoy's gRPC-Web and JSON filters and tonic-web
    Gateway,
    /// The services over their databases, against the bare engine
    Services,
    /// How soon a change in the registry is seen by calls
    Convergence,
    /// Calls while instances are slow, fail, freeze and come back
    Chaos,
}

impl Subject {
    /// Returns the tools that take part.
    fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Mesh | Self::Gateway => &["envoy"],
            Self::Services => &["postgres", "redis-server"],
            Self::Convergence => &["consul"],
            Self::Chaos => &[],
        }
    }

    /// Returns the programs of ours that it starts, each a package.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => &["selvedge-gateway"],
            Self::Mesh | Self::Services | Self::Convergence | Self::Chaos => &[],
        }
    }

    /// Returns the benchmarks of its parts, each a bench target.
    fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Mesh => &["calls", "picks"],
            Self::Gateway | Self::Services | Self::Convergence | Self::Chaos => &[],
        }
    }

    /// Returns the name of the subcommand of `selvedge-bench`.
    fn name(self) -> String {
        self.to_possible_value().expect("no subject is hidden").get_name().to_owned()
    }
}

/// Installs what takes part, builds with optimisations, and runs the benchmark; tells whether it went through.
pub(crate) fn run(subject: Subject, options: &[String]) -> Result<bool> {
    for program in subject.programs() {
        let mut build = cargo();
        build.args(["build", "--release", "--package", program]);
        if !build.status().context("cannot start cargo")?.success() {
            return Ok(false);
        }
    }
    let mut bench = cargo();
    bench.args(["run", "--release", "--package", "selvedge-bench", "--", &subject.name()]).args(options);
    for tool in TOOLS.iter().filter(|tool| subject.tools().contains(&tool.name)) {
        bench.env(tool.variable, ensure(tool)?);
    }
    if !bench.status().context("cannot start cargo")?.success() {
        return Ok(false);
    }
    subject.parts().iter().try_fold(true, |well, part| {
        let mut bench = cargo();
        bench.args(["bench", "--package", "selvedge-bench", "--bench", part]);
        Ok(bench.status().context("cannot start cargo")?.success() && well)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_that_takes_part_is_known() {
        for name in Subject::value_variants().iter().flat_map(|subject| subject.tools()) {
            assert!(TOOLS.iter().any(|tool| tool.name == *name), "{name}");
        }
    }
}
