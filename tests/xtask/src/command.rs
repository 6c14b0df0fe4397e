//! Runs other programs.

use std::{
    env,
    ffi::OsString,
    io::ErrorKind,
    process::{Command, Output},
};

use anyhow::{Context, Result, bail};

/// How many of the last lines of a failed command are shown.
const SHOWN: usize = 30;

/// Returns the Cargo that runs this, to be given arguments; it acts on the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command
}

/// Runs a command to its end, and returns what it printed on standard output.
///
/// # Errors
///
/// If it cannot be started, and then the text says whether it is not installed; or if it fails: with its last lines.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{name} is not installed"),
        output => output.with_context(|| format!("cannot start {name}"))?,
    };
    if !output.status.success() {
        bail!("`{}` failed ({}):\n{}", line(command), output.status, tail(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns a command as one would type it.
fn line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn tail(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_shows_itself_and_its_last_lines() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("`sh -c echo why") && error.ends_with("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_missing_program_is_told_from_a_failed_one() {
        let error = output(&mut Command::new("selvedge-no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "selvedge-no-such-program is not installed");
    }
}
