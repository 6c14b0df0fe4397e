use super::*;

fn load() -> (Arc<Load>, Instant) {
    let now = Instant::now();
    (Arc::new(Load::new(Arc::new(Mean::new(now)), now)), now)
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() < b.abs() * 0.01
}

const MILLI: Duration = Duration::from_millis(1);

#[test]
fn a_slower_sample_counts_at_once_and_a_faster_one_slowly() {
    assert_eq!(peak(None, 0.2, 0.0), 0.2);
    assert_eq!(peak(Some(0.1), 0.2, 0.0), 0.2);
    let half = 0.2 * (-0.5f32).exp() + 0.1 * (1.0 - (-0.5f32).exp());
    assert!(near(peak(Some(0.2), 0.1, DECAY / 2.0), half));
    // What decayed below the sample is raised to it.
    assert_eq!(peak(Some(0.2), 0.1, 20.0 * DECAY), 0.1);
}

#[test]
fn reading_decays_and_changes_nothing() {
    let (load, now) = load();
    load.answered(100 * MILLI, now);
    let later = now + Duration::from_secs(10);
    assert!(near(load.cost(later, 1.0), 0.1 / std::f32::consts::E));
    assert!(near(load.cost(later, 1.0), 0.1 / std::f32::consts::E));
    assert!(near(load.cost(now, 1.0), 0.1));
}

#[test]
fn cost_grows_with_the_calls_in_flight() {
    let (load, now) = load();
    load.answered(100 * MILLI, now);
    let calls: Vec<_> = (0..3).map(|_| load.begin(now, None)).collect();
    assert!(near(load.cost(now, 1.0), 0.4));
    drop(calls);
    assert!(near(load.cost(now, 1.0), 0.1));
}

#[test]
fn a_new_endpoint_starts_at_the_mean_of_its_cluster() {
    let (old, now) = load();
    old.answered(50 * MILLI, now);
    let new = Load::new(Arc::clone(&old.mean), now);
    assert!(near(new.cost(now, 1.0), 0.05));
}

#[test]
fn a_fast_failure_makes_an_endpoint_dearer() {
    let (load, now) = load();
    load.answered(50 * MILLI, now);
    for _ in 0..3 {
        let before = load.cost(now, 1.0);
        load.failed(Duration::from_micros(10), now);
        assert!(near(load.cost(now, 1.0), before * 2.0));
    }
    for _ in 0..100 {
        load.failed(Duration::from_micros(10), now);
    }
    assert!(near(load.cost(now, 1.0), 0.05 * MOST_PENALTY), "bounded: {}", load.cost(now, 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_may_raise_the_estimate_but_never_lowers_it() {
    let (load, _) = load();
    load.answered(50 * MILLI, Instant::now());
    let call = load.begin(Instant::now(), None);
    tokio::time::advance(10 * MILLI).await;
    drop(call);
    assert!(load.cost(Instant::now(), 1.0) > 0.049);
    let call = load.begin(Instant::now(), None);
    tokio::time::advance(200 * MILLI).await;
    drop(call);
    assert!(near(load.cost(Instant::now(), 1.0), 0.2));
}

#[tokio::test(start_paused = true)]
async fn latency_is_that_of_the_first_message_and_not_of_the_whole_answer() {
    let (load, _) = load();
    let mut call = load.begin(Instant::now(), None);
    tokio::time::advance(20 * MILLI).await;
    call.first();
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(load.cost(Instant::now(), 1.0) < 0.041, "two calls share 20 ms");
    call.ended(Code::Ok);
    drop(call);
    assert!(load.cost(Instant::now(), 1.0) < 0.021);
}

#[test]
fn a_new_connection_forgets_what_was_measured() {
    let (load, now) = load();
    load.answered(500 * MILLI, now);
    load.mean.latency.clear();
    load.reset(now);
    assert!(near(load.cost(now, 1.0), UNMEASURED));
}

#[test]
fn a_new_endpoint_is_dear_at_first_and_as_any_other_when_its_window_passed() {
    let (window, seconds) = (Duration::from_secs(30), Duration::from_secs);
    for (age, dearer) in [(0, 10.0), (3, 10.0), (6, 5.0), (15, 2.0), (30, 1.0), (600, 1.0)] {
        assert!(near(ramp(seconds(age), window), dearer), "after {age} s");
    }
    assert!(near(ramp(Duration::ZERO, Duration::ZERO), 1.0), "without a window it is never dearer");
    let (load, now) = load();
    let later = now + seconds(60);
    assert!(near(load.slow_start(later, window), 1.0));
    load.reset(later);
    assert!(near(load.slow_start(later, window), 10.0), "a new connection may lead to a new process");
}
