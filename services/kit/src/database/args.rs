//! How much of its database a program takes, as options of it.

use std::time::Duration;

use crate::{database::location::Limits, time_text::duration};

/// The most connections of one instance.
const MOST: i64 = 1_000;

/// The options of a program that has a database.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(id = "database options")]
pub struct Args {
    /// Connections to the database that calls use at once; PostgreSQL has two more of each instance
    #[arg(long, value_name = "N", env = "SELVEDGE_DATABASE_CONNECTIONS", default_value_t = Limits::default().connections,
          value_parser = clap::value_parser!(u32).range(1..=MOST))]
    database_connections: u32,
    /// How long a call waits for a connection, and for another writer to end
    #[arg(long, value_name = "TIME", env = "SELVEDGE_DATABASE_WAIT", default_value = "4s",
          value_parser = duration)]
    database_wait: Duration,
}

impl Args {
    /// Returns what the options say.
    ///
    /// # Errors
    ///
    /// The option, and what is wrong with it.
    pub fn limits(self) -> Result<Limits, (&'static str, String)> {
        if self.database_wait.is_zero() {
            return Err(("--database-wait", "must be more than 0ms".into()));
        }
        Ok(Limits { connections: self.database_connections, wait: self.database_wait, ..Limits::default() })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Limits, String> {
        let cli = Cli::try_parse_from([&["test"], words].concat()).map_err(|error| error.to_string())?;
        cli.args.limits().map_err(|(option, reason)| format!("{option}: {reason}"))
    }

    #[test]
    fn limits_are_the_default_ones_unless_told() {
        assert_eq!(parse(&[]).unwrap(), Limits::default());
        let told = parse(&["--database-connections", "16", "--database-wait", "500ms"]).unwrap();
        assert_eq!((told.connections, told.wait), (16, Duration::from_millis(500)));
    }

    #[test]
    fn an_option_that_cannot_be_used_is_named() {
        for (option, value) in [
            ("--database-connections", "0"),
            ("--database-connections", "1001"),
            ("--database-connections", "many"),
            ("--database-wait", "0s"),
            ("--database-wait", "soon"),
        ] {
            let error = parse(&[option, value]).unwrap_err();
            assert!(error.contains(option), "{error}");
        }
    }
}
