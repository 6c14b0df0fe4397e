use proptest::prelude::*;

use super::*;
use crate::policy::cluster::ClusterPolicy;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> (Breaker, Instant) {
    let now = Instant::now();
    (Breaker::new(ClusterPolicy::default().into(), now), now)
}

fn opened() -> (Breaker, Instant) {
    let (breaker, now) = breaker();
    let opens: Vec<_> = (0..7).map(|_| breaker.failed(Pass::Ordinary, now, 0.0)).collect();
    assert_eq!(opens, [false, false, false, false, false, false, true]);
    (breaker, now)
}

#[test]
fn seven_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_them() {
    let (breaker, now) = breaker();
    for _ in 0..100 {
        for _ in 0..6 {
            assert!(!breaker.failed(Pass::Ordinary, now, 0.0));
        }
        breaker.succeeded(Pass::Ordinary);
    }
    assert_eq!(breaker.state(now), State::Closed);
    assert_eq!(opened().0.state(now), State::Open);
}

#[test]
fn a_second_probe_waits_for_the_first() {
    let (breaker, now) = opened();
    assert_eq!(breaker.admit(now, false), None);
    let due = now + SECOND;
    assert_eq!(breaker.state(due), State::ProbeDue);
    assert_eq!(breaker.admit(due, false), Some(Pass::Probe));
    assert_eq!(breaker.admit(due + SECOND, false), None);
    breaker.abandon(Pass::Probe);
    assert_eq!(breaker.admit(due + SECOND, false), Some(Pass::Probe), "the first came to nothing");
}

#[test]
fn only_a_probe_closes_it() {
    let (breaker, now) = opened();
    assert!(!breaker.succeeded(Pass::Ordinary), "it passed before");
    assert_eq!(breaker.state(now), State::Open);
    let probe = breaker.admit(now + SECOND, false).unwrap();
    assert!(breaker.succeeded(probe));
    assert_eq!(breaker.state(now + SECOND), State::Closed);
    assert_eq!(breaker.admit(now + SECOND, false), Some(Pass::Ordinary));
}

#[test]
fn each_probe_that_fails_doubles_the_time_up_to_the_most() {
    let (breaker, mut now) = opened();
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let due = now + seconds * SECOND;
        assert_eq!(breaker.state(due - Duration::from_millis(1)), State::Open, "{seconds}");
        let probe = breaker.admit(due, false).unwrap();
        breaker.failed(probe, due, 0.0);
        now = due;
    }
}

#[test]
fn one_that_is_forced_passes_as_an_ordinary_call() {
    let (breaker, now) = opened();
    assert_eq!(breaker.admit(now, true), Some(Pass::Ordinary));
    assert_eq!(breaker.admit(now + SECOND, true), Some(Pass::Probe), "if a probe is due it is that one");
    assert_eq!(breaker.admit(now + SECOND, true), Some(Pass::Ordinary));
}

#[test]
fn a_new_connection_may_be_probed_at_once() {
    let (breaker, now) = opened();
    breaker.hasten(now);
    assert_eq!(breaker.state(now), State::ProbeDue);
    let (closed, _) = self::breaker();
    closed.hasten(now);
    assert_eq!(closed.state(now), State::Closed);
}

#[test]
fn none_opens_without_a_number_of_failures() {
    let now = Instant::now();
    let breaker = BreakerPolicy { consecutive_failures: 0, ..BreakerPolicy::default() };
    let breaker = Breaker::new(ClusterPolicy { breaker, ..ClusterPolicy::default() }.into(), now);
    assert!((0..1_000).all(|_| !breaker.failed(Pass::Ordinary, now, 0.0)));
}

proptest! {
    #[test]
    fn the_time_that_it_is_open_has_its_bounds(times in 0u32..100, random in 0.0f64..1.0) {
        let policy = BreakerPolicy::default();
        let time = open_for(&policy, times, random);
        prop_assert!(time >= policy.min_open && time <= policy.max_open.mul_f64(1.5));
    }
}
