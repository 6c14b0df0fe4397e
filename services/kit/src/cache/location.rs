//! Where a cache is, and what is asked of it.

use std::{fmt, time::Duration};

use crate::cache::memory::Memory;

/// Where copies are kept.
#[derive(Clone, Debug, Default)]
pub enum Location {
    /// Nowhere: every read asks the database.
    #[default]
    None,
    /// In the process. Instances that are given clones share it: those of one process, if no other process writes to
    /// the same database.
    Memory(Memory),
    /// In Redis.
    Redis(Server),
}

/// A Redis, and who we are to it; the password is in no text that it gives.
#[derive(Clone)]
pub struct Server {
    pub(crate) config: fred::types::config::Config,
    shown: String,
}

/// What is asked of a cache.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a copy may be read. Default 30 s.
    pub ttl: Duration,
    /// How long it may be believed that a name has no resource. Default 1 s.
    pub missing_ttl: Duration,
    /// How long Redis may take for one answer before the database is asked instead; a read asks twice at most. Default
    /// 40 ms.
    pub timeout: Duration,
}

/// Where copies are kept, and what is asked of the place.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where.
    pub location: Location,
    /// What is asked of it.
    pub limits: Limits,
}

/// A text that names no cache.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{given:?} is no cache that can be used: expected redis://USER:PASSWORD@HOST:PORT/NUMBER, memory or none")]
pub struct ParseError {
    /// What was given, without what may be a password.
    given: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30), missing_ttl: Duration::from_secs(1), timeout: Duration::from_millis(40) }
    }
}

impl Limits {
    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// Which limit is wrong, and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        for (name, limit) in [("ttl", self.ttl), ("missing_ttl", self.missing_ttl), ("timeout", self.timeout)] {
            if limit < Duration::from_millis(1) {
                return Err(format!("{name} must be at least 1ms"));
            }
        }
        Ok(())
    }
}

impl Location {
    /// Reads `none`, `memory`, or `redis://HOST:PORT/NUMBER` (`rediss://` with TLS). Each reading of `memory` is a memory of its own.
    ///
    /// # Errors
    ///
    /// [`ParseError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text {
            "none" => Ok(Self::None),
            "memory" => Ok(Self::Memory(Memory::new())),
            _ => Server::parse(text).map(Self::Redis),
        }
    }
}

impl Server {
    fn parse(url: &str) -> Result<Self, ParseError> {
        // What stands before the last @ may be a password.
        let refusal = || ParseError { given: url.rsplit('@').next().unwrap_or_default().to_owned() };
        let scheme = ["redis", "rediss"].into_iter().find(|scheme| url.starts_with(&format!("{scheme}://")));
        let scheme = scheme.ok_or_else(refusal)?;
        let mut config = fred::types::config::Config::from_url_centralized(url).map_err(|_| refusal())?;
        // Whether it can be reached is seen as it goes.
        config.fail_fast = false;
        let hosts = config.server.hosts();
        let host = hosts.first().ok_or_else(refusal)?;
        let shown = format!("{scheme}://{}:{}/{}", host.host, host.port, config.database.unwrap_or_default());
        Ok(Self { config, shown })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_named_by_a_word_or_a_url() {
        assert!(matches!(Location::parse("none"), Ok(Location::None)));
        assert!(matches!(Location::parse("memory"), Ok(Location::Memory(_))));
        for (url, shown) in [
            ("redis://cache.example", "redis://cache.example:6379/0"),
            ("redis://ada:secret@cache.example:6380/3", "redis://cache.example:6380/3"),
            ("redis://:se@cret@cache.example/1", "redis://cache.example:6379/1"),
        ] {
            let Location::Redis(server) = Location::parse(url).unwrap() else { panic!("{url}") };
            assert_eq!(server.to_string(), shown);
            assert!(!format!("{server:?}").contains("cret"), "{server:?}");
        }
    }

    #[test]
    fn what_is_no_cache_is_refused_with_what_to_write_and_without_a_password() {
        for bad in ["", "Memory", "redis", "redis://", "http://h", "redis-cluster://h:1", "redis://u:secret@h:x/1"] {
            let error = Location::parse(bad).unwrap_err().to_string();
            assert!(error.contains("memory or none") && !error.contains("secret"), "{error}");
        }
        assert!(Location::parse("redis://u:secret@h/one").is_err());
    }

    #[test]
    fn a_limit_of_nothing_is_refused_by_name() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let limits = Limits { timeout: Duration::ZERO, ..Limits::default() };
        assert!(limits.validate().unwrap_err().starts_with("timeout "));
    }
}
