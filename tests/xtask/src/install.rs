//! Finds a tool on `PATH` or among those installed, or builds it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context, Result, bail};

use crate::{
    folders,
    progress::during,
    recipe::{Fitting, Tool},
};

/// Returns the path of a tool: a fitting one on `PATH`, or the installed one, or one built now.
///
/// # Errors
///
/// If it cannot be built; the text says what that needs.
pub(crate) fn ensure(tool: &Tool) -> Result<PathBuf> {
    let fitting = |fitting| on_path(tool.name).filter(|program| fits(program, fitting));
    if let Some(program) = tool.fitting.as_ref().and_then(fitting) {
        return Ok(program);
    }
    let version = (tool.version)()?;
    let tools = folders::tools()?;
    let program = tools.join(format!("{}-{version}", tool.name)).join(tool.program);
    if !program.is_file() {
        let title = format!("installing {} {version}", tool.name);
        let built = during(&title, || build(tool, &version, &tools));
        built.with_context(|| format!("cannot install {} {version}", tool.name))?;
    }
    Ok(program)
}

/// Builds a tool in a folder beside its own one, and moves it there when it is whole.
fn build(tool: &Tool, version: &str, tools: &Path) -> Result<()> {
    let folder = tools.join(format!("{}-{version}", tool.name));
    let unfinished = tools.join(format!(".{}-{version}.{}", tool.name, process::id()));
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    let built = (tool.build)(version, &unfinished).and_then(|()| publish(tool, &unfinished, &folder));
    // Nothing is left here if it was moved.
    drop(fs::remove_dir_all(&unfinished));
    built
}

/// Moves a finished folder to its place; another clone may have been faster.
fn publish(tool: &Tool, finished: &Path, folder: &Path) -> Result<()> {
    if !finished.join(tool.program).is_file() {
        bail!("the build made no {}", tool.program);
    }
    if folder.join(tool.program).is_file() {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove the broken {}", folder.display()))?;
    }
    fs::rename(finished, folder).with_context(|| format!("cannot move the tool to {}", folder.display()))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Tells whether a program is of a version that will do; grpcurl says it on standard error.
fn fits(program: &Path, fitting: &Fitting) -> bool {
    let Ok(output) = Command::new(program).args(fitting.args).output() else { return false };
    [output.stdout, output.stderr]
        .iter()
        .any(|said| String::from_utf8_lossy(said).trim_start().starts_with(fitting.says))
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use super::*;
    use crate::recipe::Need;

    /// A folder of this test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = env::temp_dir().join(format!("selvedge-xtask-{test}-{}", process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn entries(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn tool(build: fn(&str, &Path) -> Result<()>) -> Tool {
        Tool {
            name: "thing",
            version: || Ok("1".to_owned()),
            need: Need::Gate,
            variable: "THING",
            program: "thing",
            fitting: None,
            build,
        }
    }

    #[test]
    fn a_tool_is_moved_into_place_when_it_is_whole() {
        let tools = Folder::new("whole");
        let works = tool(|version, folder| Ok(write(folder.join("thing"), version)?));
        build(&works, "1", &tools.0).unwrap();
        assert_eq!(tools.entries(), ["thing-1"]);
        assert_eq!(fs::read_to_string(tools.0.join("thing-1/thing")).unwrap(), "1");
    }

    #[test]
    fn a_failed_build_leaves_nothing_behind() {
        let tools = Folder::new("failed");
        let fails = tool(|_, folder| {
            write(folder.join("half"), "")?;
            bail!("no network")
        });
        assert_eq!(build(&fails, "1", &tools.0).unwrap_err().to_string(), "no network");
        let empty = tool(|_, _| Ok(()));
        assert_eq!(build(&empty, "1", &tools.0).unwrap_err().to_string(), "the build made no thing");
        assert!(tools.entries().is_empty());
    }

    #[test]
    fn a_broken_tool_is_replaced() {
        let tools = Folder::new("broken");
        fs::create_dir_all(tools.0.join("thing-1/leftover")).unwrap();
        let works = tool(|_, folder| Ok(write(folder.join("thing"), "")?));
        build(&works, "1", &tools.0).unwrap();
        assert!(tools.0.join("thing-1/thing").is_file() && !tools.0.join("thing-1/leftover").exists());
    }

    #[test]
    fn a_program_fits_by_what_it_says() {
        let shell = Path::new("/bin/sh");
        assert!(fits(shell, &Fitting { args: &["-c", "echo thing v1.9.4 >&2"], says: "thing v1.9." }));
        assert!(!fits(shell, &Fitting { args: &["-c", "echo thing v1.19.4"], says: "thing v1.9." }));
        assert!(!fits(Path::new("/no/such/program"), &Fitting { args: &[], says: "" }));
    }
}
