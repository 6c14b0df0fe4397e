//! The run of all tests.

use std::{
    env, fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    command::cargo,
    folders::{programs, repository},
    install::ensure as ensure_tool,
    on_postgres,
    recipe::{Need, TOOLS},
    tally::{Tally, count, skipped_tests},
};

/// A test that is no Rust: the style of the protos.
const LINT: &str = "buf lint";

/// Tells tests that more is asked of them than usual.
const ALL: &str = "SELVEDGE_TEST_ALL";

/// Installs what is missing, builds, runs the tests whose name contains `filter`, and prints the sum as the last line.
/// With `all`, tests do all that they can, on further engines.
///
/// Returns whether nothing failed.
pub(crate) fn run(filter: Option<&str>, all: bool) -> Result<bool> {
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    let tools = tools(all);
    let mut tally = Tally::default();
    if in_ci {
        // Whether or not a test asks for it: in CI nothing may be missing.
        tally.failed += tools.iter().filter(|tool| tool.path.is_none()).count() as u64;
    }
    let skips = Skips::new();
    let built = build()?;
    if built {
        run_tests((filter, all), &tools, &skips, &mut tally)?;
        on_postgres(filter, in_ci, &tools, &mut tally)?;
    } else {
        eprintln!("the workspace does not build: no test of it was run");
        tally.failed += 1;
    }
    lint(filter, in_ci, &tools, &mut tally)?;
    let skipped = skips.take();
    tally.skip(&skipped_tests(&skipped));
    print!("\n{skipped}");
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// A tool that tests need, and where it is, if it is.
struct Found {
    variable: &'static str,
    path: Option<PathBuf>,
}

/// Installs the tools, loudly where that fails; those of all tests only for all tests.
fn tools(all: bool) -> Vec<Found> {
    let needed = TOOLS.iter().filter(|tool| tool.need == Need::Tests || all && tool.need == Need::AllTests);
    let found = needed.map(|tool| {
        let path = ensure_tool(tool).inspect_err(|error| eprintln!("MISSING: {error:#}")).ok();
        Found { variable: tool.variable, path }
    });
    found.collect()
}

/// Builds programs and tests; at once, so that both are built with the same features, and nothing twice.
fn build() -> Result<bool> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--bins", "--tests"]);
    Ok(build.status().context("cannot start cargo")?.success())
}

/// Runs the tests of all packages, and lets their output through while it is counted.
fn run_tests((filter, all): (Option<&str>, bool), tools: &[Found], skips: &Skips, tally: &mut Tally) -> Result<()> {
    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast"]).args(filter).stdout(Stdio::piped());
    test.env("SELVEDGE_TEST_BIN", programs()?).env("SELVEDGE_TEST_SKIPS", &skips.file);
    if all {
        test.env(ALL, "1");
    }
    for tool in tools {
        // Empty: it was looked for, and is not there.
        test.env(tool.variable, tool.path.as_deref().unwrap_or(Path::new("")));
    }
    let before = tally.failed;
    let mut running = test.spawn().context("cannot start cargo")?;
    let output = running.stdout.take().context("cargo has no standard output")?;
    count(BufReader::new(output), &mut io::stdout().lock(), tally)?;
    let succeeded = running.wait()?.success();
    if !succeeded && tally.failed == before {
        eprintln!("cargo test failed outside of a test: see above");
        tally.failed += 1;
    }
    Ok(())
}

/// Runs the unit suites that have a database on PostgreSQL too.
fn on_postgres(filter: Option<&str>, in_ci: bool, tools: &[Found], tally: &mut Tally) -> Result<()> {
    let found = tools.iter().find(|tool| tool.variable == "SELVEDGE_TEST_POSTGRES_PROGRAM");
    let Some(postgres) = found.and_then(|tool| tool.path.as_ref()) else {
        // In CI it was counted as missing.
        println!("SKIPPED: unit suites on PostgreSQL: no postgres");
        tally.skipped += u64::from(!in_ci);
        return Ok(());
    };
    on_postgres::run(filter, postgres, tally)
}

/// Checks the style of the protos, as one more test.
fn lint(filter: Option<&str>, in_ci: bool, tools: &[Found], tally: &mut Tally) -> Result<()> {
    if filter.is_some_and(|filter| !LINT.contains(filter)) {
        return Ok(());
    }
    let buf = tools.iter().find(|tool| tool.variable == "SELVEDGE_TEST_BUF").and_then(|tool| tool.path.as_ref());
    let Some(buf) = buf else {
        // In CI it was counted as missing.
        println!("SKIPPED: {LINT}: no buf");
        tally.skipped += u64::from(!in_ci);
        return Ok(());
    };
    let root = repository();
    ensure!(root.join("buf.yaml").is_file(), "no buf.yaml in {}", root.display());
    let passed = Command::new(buf).arg("lint").current_dir(root).status().context("cannot start buf")?.success();
    println!("test {LINT} ... {}", if passed { "ok" } else { "FAILED" });
    tally.passed += u64::from(passed);
    tally.failed += u64::from(!passed);
    Ok(())
}

/// The file to which tests write that they were skipped. Removed when dropped.
struct Skips {
    file: PathBuf,
}

impl Skips {
    fn new() -> Self {
        Self { file: env::temp_dir().join(format!("selvedge-skips-{}", process::id())) }
    }

    /// Returns what was written; nothing, if no test wrote.
    fn take(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }
}

impl Drop for Skips {
    fn drop(&mut self) {
        // It exists only if a test was skipped.
        drop(fs::remove_file(&self.file));
    }
}
