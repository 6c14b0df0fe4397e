//! Copies in Redis. It is asked only while it answers: what takes too long costs one call its time, and then no call
//! until it answers again.

use std::{future::Future, iter, sync::Arc, time::Duration};

use bytes::Bytes;
use fred::{
    clients::Client,
    error::Error,
    interfaces::{ClientLike as _, KeysInterface as _, LuaInterface as _},
    types::{
        Builder,
        config::{ReconnectPolicy, UnresponsiveConfig},
    },
};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use crate::cache::{
    entry::{Entry, Version},
    location::{Limits, Server},
    standing::Standing,
};

/// Sets an entry over none or an older one, in one step. A value is the version's digits and the body; digits compare
/// as texts in every locale.
const PUT: &str = "
local old = redis.call('GET', KEYS[1])
if old and string.sub(old, 1, #ARGV[1]) >= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1";

/// A Redis that is away is asked after these pauses, from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// How long a new connection may take, and what is asked on it first.
const CONNECT: Duration = Duration::from_secs(1);
/// Commands that wait to be sent; more are refused.
const QUEUE: usize = 1_000;

/// A Redis. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Redis {
    client: Client,
    standing: Arc<Standing>,
    timeout: Duration,
    _keeper: Arc<AbortOnDropHandle<()>>,
}

/// That Redis gave no answer in time, or is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It was asked.
    Failed,
    /// It is known to be away.
    Away,
}

impl Redis {
    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// Text for a person, if the client cannot be made.
    pub(crate) fn open(server: &Server, limits: Limits) -> Result<Self, String> {
        let client = client(server, limits.timeout).map_err(|error| error.to_string())?;
        let standing = Arc::new(Standing::new(limits.ttl));
        let keeper = Keeper {
            client: client.clone(),
            standing: Arc::clone(&standing),
            shown: server.to_string(),
            timeout: limits.timeout,
        };
        let keeper = Arc::new(AbortOnDropHandle::new(tokio::spawn(keeper.run())));
        Ok(Self { client, standing, timeout: limits.timeout, _keeper: keeper })
    }

    /// Returns the body of an entry, if there is one.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, Silence> {
        Ok(body(self.asked(self.client.get(key)).await?))
    }

    /// Returns the bodies of several entries, in the order of the keys.
    pub(crate) async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>, Silence> {
        let values: Vec<Option<Bytes>> = self.asked(self.client.mget(keys.to_vec())).await?;
        // It has one for each, whatever answers.
        Ok(values.into_iter().map(body).chain(iter::repeat(None)).take(keys.len()).collect())
    }

    /// Puts an entry in, unless what is there is as new.
    pub(crate) async fn put(&self, key: &str, entry: &Entry, ttl: Duration) -> Result<(), Silence> {
        self.asked(put(&self.client, key, entry, ttl)).await
    }

    /// Puts the entry of a write in: later, if Redis does not take it now.
    pub(crate) async fn put_surely(&self, key: &str, entry: Entry, ttl: Duration) -> Result<(), Silence> {
        let taken = self.put(key, &entry, ttl).await;
        if taken.is_err() {
            self.standing.owe(key, entry);
            // It may have come back between the refusal and the note.
            self.standing.fall();
        }
        taken
    }

    async fn asked<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Silence> {
        if !self.standing.is_up() {
            return Err(Silence::Away);
        }
        let failed = match timeout(self.timeout, answer).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        debug!(error = failed, "the cache did not answer");
        self.standing.fall();
        Err(Silence::Failed)
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("standing", &self.standing.is_up()).finish_non_exhaustive()
    }
}

/// Finds out when a Redis that is away answers again.
struct Keeper {
    client: Client,
    standing: Arc<Standing>,
    shown: String,
    timeout: Duration,
}

impl Keeper {
    async fn run(self) {
        let connection = AbortOnDropHandle::new(self.client.connect());
        let watched = async {
            loop {
                self.back().await;
                self.standing.fallen().await;
            }
        };
        tokio::select! {
            never = watched => never,
            // It tries again for ever.
            ended = connection => warn!(cache = self.shown, ?ended, "the cache's connection ended for good"),
        }
    }

    /// Waits until Redis answers, and has heard of all that it missed.
    async fn back(&self) {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        while let Err(error) = self.tried().await {
            if !told {
                warn!(cache = self.shown, error, "the cache does not answer: reads ask the database");
            }
            told = true;
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        if told {
            info!(cache = self.shown, "the cache answers");
        }
    }

    async fn tried(&self) -> Result<(), String> {
        self.answer(self.client.ping::<()>(None)).await?;
        loop {
            let owed = self.standing.owed_or_up();
            if owed.is_empty() {
                return Ok(());
            }
            for (key, entry, left) in owed {
                self.answer(put(&self.client, &key, &entry, left)).await?;
                self.standing.paid(&key, &entry);
            }
        }
    }

    async fn answer<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        match timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", self.timeout.as_millis())),
        }
    }
}

/// Returns what follows the version in a value.
fn body(value: Option<Bytes>) -> Option<Bytes> {
    value.filter(|value| value.len() >= Version::DIGITS).map(|value| value.slice(Version::DIGITS..))
}

fn client(server: &Server, timeout: Duration) -> Result<Client, Error> {
    let mut builder = Builder::from_config(server.config.clone());
    builder.with_performance_config(|performance| performance.default_command_timeout = timeout);
    builder.with_connection_config(|connection| {
        connection.connection_timeout = CONNECT;
        connection.internal_command_timeout = CONNECT;
        // What was on its way when the connection broke is not sent again.
        connection.max_command_attempts = 1;
        connection.max_command_buffer_len = QUEUE;
        connection.unresponsive = UnresponsiveConfig { max_timeout: Some(CONNECT), interval: CONNECT / 4 };
        connection.tcp.nodelay = Some(true);
    });
    let (first, last) = (millis(FIRST_PAUSE), millis(LAST_PAUSE));
    builder.set_policy(ReconnectPolicy::new_exponential(0, first, last, 2));
    builder.build()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

async fn put(client: &Client, key: &str, entry: &Entry, ttl: Duration) -> Result<(), Error> {
    let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
    let arguments: Vec<fred::types::Value> = vec![entry.version.digits().into(), entry.body.clone().into(), ttl.into()];
    client.eval::<i64, _, _, _>(PUT, key, arguments).await.map(drop)
}
