//! The unit suites of what has a database, once more: on a PostgreSQL that is started for them.

use std::{
    env, fs,
    io::{self, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    command::{cargo, output},
    tally::{Tally, count},
};

/// The suites, as Cargo calls their programs.
const SUITES: [&str; 3] = ["selvedge_kit", "selvedge_users", "selvedge_catalog"];
/// Where a suite learns of the server.
const SERVER: &str = "SELVEDGE_TEST_POSTGRES";

/// Runs the tests of the suites whose name contains `filter` on a server; `postgres` is its program.
pub(crate) fn run(filter: Option<&str>, postgres: &Path, tally: &mut Tally) -> Result<()> {
    let server = Server::start(postgres)?;
    for suite in suites()? {
        println!("\n     Running {} on PostgreSQL", suite.program.display());
        let mut test = Command::new(&suite.program);
        test.args(filter).current_dir(&suite.package).env(SERVER, server.url()).stdout(Stdio::piped());
        let before = tally.failed;
        let mut running = test.spawn().with_context(|| format!("cannot start {}", suite.program.display()))?;
        let said = running.stdout.take().context("a suite has no standard output")?;
        count(BufReader::new(said), &mut io::stdout().lock(), tally)?;
        if !running.wait()?.success() && tally.failed == before {
            eprintln!("{} ended badly: see above", suite.program.display());
            tally.failed += 1;
        }
    }
    Ok(())
}

/// A test program, and the folder that Cargo would run it in.
struct Suite {
    program: PathBuf,
    package: PathBuf,
}

/// Finds the programs that were built for all tests: built for some packages alone, they would be built anew.
fn suites() -> Result<Vec<Suite>> {
    let mut build = cargo();
    build.args(["test", "--workspace", "--no-run", "--message-format", "json"]);
    let found: Vec<_> = output(&mut build)?.lines().filter_map(suite).collect();
    ensure!(found.len() == SUITES.len(), "{} of the suites {SUITES:?} are built", found.len());
    Ok(found)
}

/// Reads one line of what Cargo says, if it tells of a suite.
fn suite(line: &str) -> Option<Suite> {
    let told: Value = serde_json::from_str(line).ok()?;
    let target = &told["target"];
    let is_wanted = SUITES.contains(&target["name"].as_str()?) && target["kind"][0] == "lib";
    let package = Path::new(told["manifest_path"].as_str()?).parent()?.to_owned();
    is_wanted.then_some(Suite { program: told["executable"].as_str()?.into(), package })
}

/// A PostgreSQL on a free port of 127.0.0.1. Ended when dropped.
struct Server {
    control: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Server {
    fn start(postgres: &Path) -> Result<Self> {
        // What is installed may be a link out of a folder that only its owner may enter.
        let program = fs::canonicalize(postgres).with_context(|| format!("cannot find {}", postgres.display()))?;
        let folder = env::temp_dir().join(format!("selvedge-postgres-{}", process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { control: program.with_file_name("pg_ctl"), folder, port };
        give_away(&server.folder)?;
        let options = ["--auth=trust", "--username=selvedge", "--no-sync", "--encoding=UTF8", "--locale=C"];
        let initdb = program.with_file_name("initdb");
        output(other_user(&mut Command::new(initdb)).args(options).arg("-D").arg(server.data()))?;
        let options = format!("-h 127.0.0.1 -p {port} -c unix_socket_directories= -c fsync=off -c max_connections=500");
        output(server.command("start").args(["-w", "-l"]).arg(server.folder.join("log")).args(["-o", &options]))?;
        Ok(server)
    }

    fn url(&self) -> String {
        format!("postgres://selvedge@127.0.0.1:{}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, task: &str) -> Command {
        let mut command = Command::new(&self.control);
        other_user(&mut command).arg(task).arg("-s").arg("-D").arg(self.data()).current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may not have started.
        drop(output(self.command("stop").args(["-m", "immediate", "-w"])));
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The server refuses to run as root.
#[cfg(unix)]
fn other_user(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt as _;

    match postgres_user() {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}

#[cfg(unix)]
fn give_away(folder: &Path) -> Result<()> {
    match postgres_user() {
        Some((user, group)) => Ok(std::os::unix::fs::chown(folder, Some(user), Some(group))?),
        None => Ok(()),
    }
}

/// Returns the ids of the user `postgres` for who is root: of its own folder in /proc, a process is the owner.
#[cfg(unix)]
fn postgres_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;

    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    Some((ids.next()?.ok()?, ids.next()?.ok()?))
}

#[cfg(not(unix))]
fn other_user(command: &mut Command) -> &mut Command {
    command
}

#[cfg(not(unix))]
fn give_away(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_read_from_what_cargo_says() {
        let line = |name: &str, kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/services/kit/Cargo.toml",
                "target":{{"name":"{name}","kind":["{kind}"]}},"executable":{executable}}}"#
            )
        };
        let found = suite(&line("selvedge_kit", "lib", r#""/t/selvedge_kit-1""#)).unwrap();
        assert_eq!((found.program, found.package), ("/t/selvedge_kit-1".into(), "/w/services/kit".into()));
        for other in [
            line("selvedge_kit", "lib", "null"),
            line("selvedge_mesh", "lib", r#""/t/x""#),
            line("selvedge_users", "bin", r#""/t/x""#),
            "warning: no JSON".into(),
        ] {
            assert!(suite(&other).is_none(), "{other}");
        }
    }
}
