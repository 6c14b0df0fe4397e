//! The cache as options of a program.

use std::{convert::Infallible, time::Duration};

use selvedge::Secret;

use crate::{
    cache::location::{Limits, Location, Options},
    time_text::duration,
};

/// The options of a program that has a cache.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "cache options")]
pub struct Args {
    /// Cache for reads by name: redis://…, memory (if no other process writes to the database) or none [default: none]
    #[arg(long, value_name = "URL", env = "SELVEDGE_CACHE", value_parser = secret, hide_env_values = true)]
    cache: Option<Secret>,
    /// How long a copy may be read that the cache holds
    #[arg(long, value_name = "TIME", env = "SELVEDGE_CACHE_TTL", default_value = "30s", value_parser = duration)]
    cache_ttl: Duration,
    /// How long Redis may take for an answer before the database is asked instead
    #[arg(long, value_name = "TIME", env = "SELVEDGE_CACHE_TIMEOUT", default_value = "40ms", value_parser = duration)]
    cache_timeout: Duration,
}

impl Args {
    /// Returns what the options say.
    ///
    /// # Errors
    ///
    /// The option, and what is wrong with it.
    pub fn options(&self) -> Result<Options, (&'static str, String)> {
        let location = self.cache.as_ref().map_or(Ok(Location::None), |url| Location::parse(url.expose()));
        let location = location.map_err(|error| ("--cache", error.to_string()))?;
        let limits = Limits { ttl: self.cache_ttl, timeout: self.cache_timeout, ..Limits::default() };
        for (option, limit) in [("--cache-ttl", limits.ttl), ("--cache-timeout", limits.timeout)] {
            if limit.is_zero() {
                return Err((option, "must be more than 0ms".into()));
            }
        }
        Ok(Options { location, limits })
    }
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
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

    fn parse(words: &[&str]) -> Result<Options, String> {
        let cli = Cli::try_parse_from([&["test"], words].concat()).map_err(|error| error.to_string())?;
        cli.args.options().map_err(|(option, reason)| format!("{option}: {reason}"))
    }

    #[test]
    fn a_program_has_no_cache_unless_told() {
        let options = parse(&[]).unwrap();
        assert!(matches!(options.location, Location::None));
        assert_eq!(options.limits.ttl, Limits::default().ttl);
        assert_eq!(options.limits.timeout, Limits::default().timeout);
    }

    #[test]
    fn options_say_where_the_cache_is_and_how_patient_its_readers_are() {
        let words = ["--cache", "redis://:pa55@h/1", "--cache-ttl", "5m", "--cache-timeout", "7ms"];
        let options = parse(&words).unwrap();
        assert!(matches!(&options.location, Location::Redis(server) if server.to_string() == "redis://h:6379/1"));
        assert_eq!((options.limits.ttl.as_secs(), options.limits.timeout.as_millis()), (300, 7));
    }

    #[test]
    fn an_option_that_cannot_be_used_is_named_without_its_password() {
        for (option, value) in [
            ("--cache", "redis-cluster://u:pa55@h"),
            ("--cache", "redis://u:pa55@h:port"),
            ("--cache-ttl", "0s"),
            ("--cache-ttl", "soon"),
            ("--cache-timeout", "99999999999999999999ms"),
            ("--cache-timeout", "18446744073709551615m"),
        ] {
            let error = parse(&[option, value]).unwrap_err();
            assert!(error.contains(option) && !error.contains("pa55"), "{error}");
        }
        let words = ["test", "--cache", "redis://u:pa55@h"];
        assert!(!format!("{:?}", Cli::try_parse_from(words).unwrap()).contains("pa55"));
    }
}
