//! One cache, whatever it is.

use bytes::Bytes;
use selvedge::Telemetry;
use tokio::time::Instant;

use crate::cache::{
    entry::{Entry, Version},
    location::{Limits, Location, Options},
    measure::Measure,
    memory::Memory,
    redis::{Redis, Silence},
};

/// A cache, as the instances of a service use it. Cheap to clone; without any, nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    opened: Option<Opened>,
}

/// A cache that keeps something.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    place: Place,
    limits: Limits,
    /// Of the service: two services do not see one another's entries.
    pub(crate) service: &'static str,
    pub(crate) measure: Measure,
}

#[derive(Clone, Debug)]
enum Place {
    Memory(Memory),
    Redis(Redis),
}

/// What a cache said of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Here is the body of its entry.
    There(Bytes),
    /// Nothing is known.
    Nothing,
    /// The cache said nothing.
    Silent(Silence),
}

impl Said {
    fn of(said: Result<Option<Bytes>, Silence>) -> Self {
        match said {
            Ok(Some(body)) => Self::There(body),
            Ok(None) => Self::Nothing,
            Err(silence) => Self::Silent(silence),
        }
    }
}

impl Cache {
    /// Opens a cache for a service. One that cannot be reached is no error.
    ///
    /// # Errors
    ///
    /// Text for a person, if a limit is wrong.
    pub fn open(options: Options, service: &'static str, telemetry: &Telemetry) -> Result<Self, String> {
        let Options { location, limits } = options;
        limits.validate()?;
        let place = match location {
            Location::None => return Ok(Self::default()),
            Location::Memory(memory) => Place::Memory(memory),
            Location::Redis(server) => Place::Redis(Redis::open(&server, limits)?),
        };
        Ok(Self { opened: Some(Opened { place, limits, service, measure: Measure::new(telemetry) }) })
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }
}

impl Opened {
    pub(crate) async fn get(&self, key: &str) -> Said {
        let said = match &self.place {
            Place::Memory(memory) => Ok(memory.get(key)),
            // Boxed, as below: what asks Redis is large, and part of every call.
            Place::Redis(redis) => Box::pin(redis.get(key)).await,
        };
        Said::of(said)
    }

    /// Asks for several at once.
    pub(crate) async fn get_all(&self, keys: &[String]) -> Vec<Said> {
        match &self.place {
            Place::Memory(memory) => keys.iter().map(|key| Said::of(Ok(memory.get(key)))).collect(),
            Place::Redis(redis) => match Box::pin(redis.get_all(keys)).await {
                Ok(bodies) => bodies.into_iter().map(|body| Said::of(Ok(body))).collect(),
                Err(silence) => vec![Said::Silent(silence); keys.len()],
            },
        }
    }

    /// Puts in what a read of the database found that began then. It lives no longer than what a write since then has put
    /// in: it could otherwise come after that.
    pub(crate) async fn fill(&self, key: &str, entry: &Entry, begun: Instant) {
        let missing = entry.version == Version::MISSING;
        let ttl = if missing { self.limits.missing_ttl } else { self.limits.ttl };
        let ttl = ttl.saturating_sub(begun.elapsed());
        if ttl.as_millis() == 0 {
            return;
        }
        let filled = match &self.place {
            Place::Memory(memory) => {
                memory.put(key, entry, ttl);
                Ok(())
            }
            Place::Redis(redis) => Box::pin(redis.put(key, entry, ttl)).await,
        };
        self.measure.put("fill", filled.err());
    }

    /// Puts in what a write left.
    pub(crate) async fn replace(&self, key: &str, entry: Entry) {
        let ttl = self.limits.ttl;
        let replaced = match &self.place {
            Place::Memory(memory) => {
                memory.put(key, &entry, ttl);
                Ok(())
            }
            Place::Redis(redis) => Box::pin(redis.put_surely(key, entry, ttl)).await,
        };
        self.measure.put("write", replaced.err());
    }
}
