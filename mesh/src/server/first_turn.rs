//! Where a served call has its first turn: with its connection, as long as those are short; else in a task of its own.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// A turn that took longer keeps its connection from others.
const SHORT: Duration = Duration::from_micros(20);
/// After a long turn so many calls have theirs elsewhere; after each further one in a row twice as many, and at most this.
const FEWEST: u32 = 32;
const MOST: u32 = 4_096;

/// Gives calls their first turn.
///
/// A task for each call costs more than most handlers do: it wakes another thread, which then contends for the
/// connection. So a call has one turn in the task of its connection, and many end in it; what is left of one that waits
/// goes on in a task. A handler that computes for long would keep the calls behind it waiting: after such a turn those
/// of the next calls are not with their connection, and a seldom one finds out whether that has changed.
#[derive(Debug, Default)]
pub(crate) struct FirstTurn {
    /// Calls that have none here.
    spared: u32,
    /// How many had none after the last that was long, if no short one came since.
    penalty: u32,
}

impl FirstTurn {
    pub(crate) fn begin(&mut self, call: impl Future<Output = ()> + Send + 'static, calls: &TaskTracker) {
        if self.spared > 0 {
            self.spared -= 1;
            calls.spawn(call);
            return;
        }
        let mut call = Box::pin(call);
        let begun = Instant::now();
        // Nobody is woken by what it waits for: it has another turn as soon as it is a task.
        let mut context = Context::from_waker(Waker::noop());
        // As in a task of its own, a panic is the end of this call alone: h2 resets its stream.
        let turn = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)));
        self.took(begun.elapsed());
        if let Ok(Poll::Pending) = turn {
            calls.spawn(call);
        }
    }

    fn took(&mut self, took: Duration) {
        self.penalty = if took > SHORT { (self.penalty * 2).clamp(FEWEST, MOST) } else { 0 };
        self.spared = self.penalty;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_call_that_need_not_wait_ends_with_its_connection_and_another_in_a_task() {
        let (mut turn, calls) = (FirstTurn::default(), TaskTracker::new());
        let (done, mut ended) = oneshot::channel();
        turn.begin(async move { done.send(()).unwrap() }, &calls);
        assert!(calls.is_empty());
        ended.try_recv().expect("it ended in its first turn");

        // Whatever the machine does meanwhile.
        turn = FirstTurn::default();
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let call = async move {
            wait.await.unwrap();
            done.send(()).unwrap();
        };
        turn.begin(call, &calls);
        assert_eq!(calls.len(), 1);
        go.send(()).unwrap();
        ended.await.expect("it went on when it was woken");
    }

    #[tokio::test]
    async fn a_panic_in_the_first_turn_ends_the_call_alone() {
        let (mut turn, calls) = (FirstTurn::default(), TaskTracker::new());
        turn.begin(async { panic!("of a handler") }, &calls);
        assert!(calls.is_empty());
    }

    #[tokio::test]
    async fn after_a_long_turn_calls_have_theirs_elsewhere_and_a_seldom_one_finds_out() {
        let (mut turn, calls) = (FirstTurn::default(), TaskTracker::new());
        let here = |turn: &mut FirstTurn| {
            let before = calls.len();
            turn.begin(std::future::ready(()), &calls);
            calls.len() == before
        };
        let spared = |turn: &mut FirstTurn| (0..10_000).take_while(|_| !here(turn)).count();
        // Each row: what a first turn took, and how many calls then have none.
        let (long, short) = (SHORT + Duration::from_nanos(1), SHORT);
        for (took, expected) in [(long, 32), (long, 64), (long, 128), (short, 0), (long, 32)] {
            turn.took(took);
            let penalty = turn.penalty;
            assert_eq!(spared(&mut turn), expected);
            // The one that found out may have been slow, on a busy machine.
            turn = FirstTurn { spared: 0, penalty };
        }
        (0..20).for_each(|_| turn.took(long));
        assert_eq!(spared(&mut turn), MOST as usize);
    }
}
