//! An ACL token by login: a bearer token for one of Consul's, again before it expires (Consul API `/v1/acl/login`).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use prost_types::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};
use tracing::warn;

use crate::{
    config::{LoginConfig, Secret},
    consul::request::{Answer, Cause, Failure, Request},
    error::{Error, ErrorKind},
};

/// How long a token that still holds is kept when another was refused.
const AGAIN: Duration = Duration::from_secs(5);

/// What to log in with, and the session that came of it.
#[derive(Debug)]
pub(crate) struct Login {
    method: String,
    bearer_token_file: PathBuf,
    /// Locked while somebody logs in: the others wait for that token.
    session: Mutex<Option<Session>>,
}

/// A token and its time.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) token: Secret,
    /// When to log in anew; never, for a token that does not expire.
    renew: Option<Instant>,
    expires: Option<Instant>,
    /// There was no other to be had, and that was told.
    failing: bool,
}

/// The part of the answer that is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Granted {
    #[serde(rename = "SecretID")]
    secret_id: Secret,
    create_time: Option<String>,
    expiration_time: Option<String>,
}

impl Login {
    pub(crate) fn new(config: &LoginConfig, bearer_token_file: &Path) -> Self {
        let (method, bearer_token_file) = (config.method.clone(), bearer_token_file.to_owned());
        Self { method, bearer_token_file, session: Mutex::default() }
    }

    pub(crate) async fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().await
    }

    /// Returns the request that logs in. The bearer token is read each time: whoever issues it replaces it.
    pub(crate) async fn request(&self) -> Result<Request, Failure> {
        let path = &self.bearer_token_file;
        let bearer = tokio::fs::read_to_string(path).await.map_err(|error| {
            let told = format!("registry.login.bearer_token_file: cannot read {}: {error}", path.display());
            Failure { cause: Cause::UnknownToken, error: Error::new(ErrorKind::Registry, told) }
        })?;
        let body = json!({ "AuthMethod": self.method, "BearerToken": bearer.trim() });
        Ok(Request { body: Some(Bytes::from(body.to_string())), ..Request::post(&["acl", "login"]) })
    }
}

impl Session {
    /// Reads the answer to a login.
    pub(crate) fn read(answer: &Answer, now: Instant) -> Result<Self, Failure> {
        let unreadable = || {
            let told = "the answer to POST /v1/acl/login holds no token and times that can be read";
            Failure { cause: Cause::UnknownToken, error: Error::new(ErrorKind::Registry, told) }
        };
        let granted: Granted = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let life = match (&granted.create_time, &granted.expiration_time) {
            (_, None) => None,
            // Of two times of one clock: ours may be another.
            (Some(begin), Some(end)) => Some(between(begin, end).ok_or_else(unreadable)?),
            (None, Some(_)) => return Err(unreadable()),
        };
        let at = |life: Duration| now.checked_add(life);
        let (renew, expires) = (life.and_then(|life| at(life * 2 / 3)), life.and_then(at));
        Ok(Self { token: granted.secret_id, renew, expires, failing: false })
    }

    /// Whether it needs no other yet.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.renew.is_none_or(|at| now < at)
    }

    /// Keeps the token for a while, if it still holds, because there is no other to be had.
    pub(crate) fn outlasts(&mut self, now: Instant, error: &Error) -> bool {
        let holds = self.expires.is_none_or(|at| now < at);
        if holds {
            self.renew = Some(now + AGAIN);
            if !std::mem::replace(&mut self.failing, true) {
                warn!(%error, "no new token by login: going on with the old one while it holds");
            }
        }
        holds
    }
}

fn between(begin: &str, end: &str) -> Option<Duration> {
    let (begin, end): (Timestamp, Timestamp) = (begin.parse().ok()?, end.parse().ok()?);
    u64::try_from(end.seconds - begin.seconds).ok().map(Duration::from_secs)
}

/// Returns the request by which the token that sends it is given up.
pub(crate) fn logout() -> Request {
    Request::post(&["acl", "logout"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Option<u64>, Option<u64>)> {
        let now = Instant::now();
        let answer = Answer { body: text.to_owned().into(), ..Answer::default() };
        let session = Session::read(&answer, now).ok()?;
        let after = |at: Option<Instant>| at.map(|at| at.duration_since(now).as_secs());
        Some((session.token.expose().to_owned(), after(session.renew), after(session.expires)))
    }

    #[test]
    fn a_session_is_renewed_after_two_thirds_of_its_life() {
        let granted = r#"{"AccessorID":"x","SecretID":"s","Local":true,
            "CreateTime":"2026-11-21T08:00:00.123456789Z","ExpirationTime":"2026-11-21T08:01:30.123456789Z"}"#;
        assert_eq!(read(granted), Some(("s".into(), Some(60), Some(90))));
        assert_eq!(read(r#"{"SecretID":"s"}"#), Some(("s".into(), None, None)), "one that does not expire");
        for bad in ["", "{}", r#"{"SecretID":"s","ExpirationTime":"soon"}"#] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_still_holds_is_kept_for_a_while() {
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        let error = Error::new(ErrorKind::Registry, "no");
        let mut session = Session { token: Secret::new("s"), renew: at(60), expires: at(90), failing: false };
        assert!(session.is_fresh(now) && !session.is_fresh(now + Duration::from_secs(60)));
        assert!(session.outlasts(now + Duration::from_secs(80), &error));
        assert_eq!(session.renew, at(85));
        assert!(!session.outlasts(now + Duration::from_secs(90), &error));
    }
}
