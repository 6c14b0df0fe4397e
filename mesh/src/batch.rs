//! Lets a connection that carries many calls write for several of them at once.

use std::task::{Context, Poll};

/// Calls at once from which on a write for several is worth the wait. With fewer, a wait would wake another thread of
/// the runtime for nothing.
const MANY: usize = 4;

/// Whether a connection has given way since it last had nothing to do.
///
/// A call that sends wakes its connection, and tokio runs next, before all others, what was woken last: each call would
/// have a write of its own. So a connection of many calls gives way once: those that are about to run send first.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    gathered: bool,
}

impl Batch {
    /// Polls a connection that carries so many calls, or gives way, which is followed by another poll.
    pub(crate) fn poll<T>(
        &mut self,
        calls: usize,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if calls >= MANY && !std::mem::replace(&mut self.gathered, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = poll(cx);
        self.gathered = polled.is_ready();
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    #[derive(Debug, Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_connection_of_many_calls_gives_way_once_until_it_has_nothing_to_do() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let (mut batch, mut cx, mut polls) = (Batch::default(), Context::from_waker(&waker), Vec::new());
        for (calls, answer) in [
            (1, Poll::Pending),
            (3, Poll::Ready(1)),
            (0, Poll::Pending),
            // Gives way.
            (4, Poll::Ready(2)),
            (4, Poll::Ready(3)),
            (9, Poll::Ready(4)),
            (9, Poll::Pending),
            // Gives way again.
            (9, Poll::Ready(5)),
            (9, Poll::Ready(6)),
        ] {
            let before = wakes.0.load(Ordering::Relaxed);
            let polled = batch.poll(calls, &mut cx, |_| {
                polls.push(answer);
                answer
            });
            let gave_way = wakes.0.load(Ordering::Relaxed) > before;
            assert!(!gave_way || polled.is_pending(), "who gives way is polled again");
        }
        let ready = |number| Poll::Ready(number);
        assert_eq!(polls, [Poll::Pending, ready(1), Poll::Pending, ready(3), ready(4), Poll::Pending, ready(6)]);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    }
}
