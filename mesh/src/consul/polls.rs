//! Who may wait at the agent: on HTTP/1.1 each question that waits holds a connection, and an agent takes 200 from one
//! address (`limits.http_max_conns_per_client`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::consul::turns::Turns;

/// Seats for watches of what was called of late, and seats for all. With what reads, what is asked in turn and what
/// registers that makes no more than 16 connections of a process.
const RESERVED: usize = 6;
const COMMON: usize = 4;
/// Questions that do not wait, at once, beside those that are asked in turn.
const READS: usize = 2;

/// How long a call makes a watch one of those that go first.
const OF_LATE: Duration = Duration::from_secs(60);

/// The seats at one agent. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Polls {
    reserved: Arc<Semaphore>,
    common: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    /// On HTTP/2 all share one connection.
    limited: Arc<AtomicBool>,
    /// Where what finds no seat is asked in turn.
    pub(crate) turns: Turns,
}

/// The right to ask, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Seat {
    _permit: Option<OwnedSemaphorePermit>,
}

/// When something was last called. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    begin: Instant,
    /// Milliseconds after `begin`; 0 for never.
    at: Arc<AtomicU64>,
}

impl Polls {
    pub(crate) fn new() -> Self {
        let seats = |count| Arc::new(Semaphore::new(count));
        let limited = Arc::new(AtomicBool::new(true));
        Self { reserved: seats(RESERVED), common: seats(COMMON), reads: seats(READS), limited, turns: Turns::new() }
    }

    /// Takes note of how the agent speaks.
    pub(crate) fn note(&self, version: http::Version) {
        self.limited.store(version < http::Version::HTTP_2, Ordering::Relaxed);
    }

    /// Takes a seat for a question that waits, if one is left. What has no usage goes first always.
    pub(crate) fn seat(&self, usage: Option<&Usage>) -> Option<Seat> {
        if !self.limited.load(Ordering::Relaxed) {
            return Some(Seat { _permit: None });
        }
        let first = usage.is_none_or(|usage| usage.is_of_late(Instant::now()));
        let reserved = || Arc::clone(&self.reserved).try_acquire_owned().ok().filter(|_| first);
        let permit = reserved().or_else(|| Arc::clone(&self.common).try_acquire_owned().ok())?;
        Some(Seat { _permit: Some(permit) })
    }

    /// Waits for the turn of a question that does not wait.
    pub(crate) async fn read(&self) -> Seat {
        let permit = match self.limited.load(Ordering::Relaxed) {
            true => Arc::clone(&self.reads).acquire_owned().await.ok(),
            false => None,
        };
        Seat { _permit: permit }
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self { begin: Instant::now(), at: Arc::default() }
    }
}

impl Usage {
    /// Takes note of a call.
    pub(crate) fn note(&self) {
        let after = self.begin.elapsed().as_millis();
        // With the flag of who is awake (`client/cluster/idle.rs`) it must have one order.
        self.at.store(u64::try_from(after).unwrap_or(u64::MAX).max(1), Ordering::SeqCst);
    }

    /// Returns how long ago the last call was, or, before the first, how old this is.
    pub(crate) fn unused(&self, now: Instant) -> Duration {
        let at = Duration::from_millis(self.at.load(Ordering::SeqCst));
        now.duration_since(self.begin).saturating_sub(at)
    }

    /// Whether nobody else can take note of a call.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.at) == 1
    }

    fn is_of_late(&self, now: Instant) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at > 0 && now.duration_since(self.begin) < Duration::from_millis(at).saturating_add(OF_LATE)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_called_of_late_goes_first() {
        let (polls, idle, busy) = (Polls::new(), Usage::default(), Usage::default());
        busy.note();
        let waiting: Vec<_> = std::iter::from_fn(|| polls.seat(Some(&idle))).collect();
        assert_eq!(waiting.len(), COMMON);
        let reserved: Vec<_> = std::iter::from_fn(|| polls.seat(Some(&busy))).collect();
        assert_eq!(reserved.len(), RESERVED);
        assert!(polls.seat(None).is_none());
        drop(reserved);
        assert!(polls.seat(Some(&idle)).is_none());
        advance(Duration::from_secs(61)).await;
        assert!(polls.seat(Some(&busy)).is_none(), "that was a while ago");
        busy.note();
        assert!(polls.seat(Some(&busy)).is_some());
    }

    #[tokio::test]
    async fn over_http_2_everybody_waits() {
        let polls = Polls::new();
        polls.note(http::Version::HTTP_2);
        let seats: Vec<_> = (0..200).filter_map(|_| polls.seat(Some(&Usage::default()))).collect();
        assert_eq!(seats.len(), 200);
        polls.note(http::Version::HTTP_11);
        let seats: Vec<_> = (0..200).filter_map(|_| polls.seat(Some(&Usage::default()))).collect();
        assert_eq!(seats.len(), COMMON);
    }
}
