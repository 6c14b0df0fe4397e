use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn host(good: u64, bad: u64) -> Host {
    Host { good, bad, ejection: Ejection::default() }
}

fn healthy(count: usize) -> Vec<Host> {
    vec![host(200, 0); count]
}

fn only_rate() -> OutlierPolicy {
    OutlierPolicy { failure_percentage: None, ..OutlierPolicy::default() }
}

fn only_failures() -> OutlierPolicy {
    OutlierPolicy { success_rate: None, ..OutlierPolicy::default() }
}

#[test]
fn one_that_does_worse_than_the_others_is_ejected_by_its_rate_of_success() {
    // (how the last one does, whether it is ejected): nine hosts without a failure stand beside it.
    for (last, ejected) in [(host(100, 100), true), (host(0, 100), true), (host(200, 0), false), (host(0, 99), false)] {
        let mut hosts = [healthy(9), vec![last]].concat();
        let found = review(&only_rate(), &mut hosts, Instant::now());
        let expected = if ejected { vec![(9, Verdict::Ejected(Finding::SuccessRate))] } else { Vec::new() };
        assert_eq!(found, expected, "{last:?}");
    }
}

#[test]
fn rates_are_compared_only_among_enough_hosts() {
    for (count, ejected) in [(3, 0), (4, 1)] {
        // With so few, one needs a smaller multiple of the deviation to stand out.
        let rule = crate::policy::cluster::SuccessRate { stdev_factor: 1_500, ..Default::default() };
        let policy = OutlierPolicy { success_rate: Some(rule), ..only_rate() };
        let mut hosts = [healthy(count), vec![host(0, 200)]].concat();
        assert_eq!(review(&policy, &mut hosts, Instant::now()).len(), ejected, "{count}");
    }
}

#[test]
fn one_that_fails_too_often_is_ejected_however_the_others_do() {
    for (last, ejected) in [(host(7, 43), true), (host(8, 42), false), (host(0, 49), false)] {
        let mut hosts = [healthy(4), vec![last]].concat();
        assert_eq!(review(&only_failures(), &mut hosts, Instant::now()).len(), usize::from(ejected), "{last:?}");
    }
}

#[test]
fn no_more_than_their_share_is_ejected_but_one_may_be() {
    for (all, most) in [(5, 1), (10, 1), (11, 2), (20, 2), (21, 3)] {
        let mut hosts = vec![host(0, 100); all];
        let found = review(&only_failures(), &mut hosts, Instant::now());
        let ejected = hosts.iter().filter(|host| host.ejection.since.is_some()).count();
        assert_eq!((ejected, found.len()), (most, all), "the others are told of");
        assert!(found.contains(&(all - 1, Verdict::Spared(Finding::FailurePercentage))));
    }
}

#[test]
fn an_ejection_lasts_longer_each_time_and_clean_intervals_are_counted_back() {
    let policy = OutlierPolicy::default();
    let begun = Instant::now();
    let seconds = |count: u64| begun + Duration::from_secs(count);
    let mut hosts = [healthy(9), vec![host(0, 200)]].concat();
    review(&policy, &mut hosts, begun);
    for (at, good, bad, ejected, multiplier) in [
        (29, 0, 0, true, 1),
        (30, 0, 0, false, 1),
        (40, 0, 200, true, 2),
        (99, 0, 0, true, 2),
        (100, 0, 0, false, 2),
        (110, 200, 0, false, 1),
        (120, 200, 0, false, 0),
        (130, 200, 0, false, 0),
        (140, 0, 200, true, 1),
    ] {
        (hosts[9].good, hosts[9].bad) = (good, bad);
        review(&policy, &mut hosts, seconds(at));
        let Ejection { since, multiplier: counted } = hosts[9].ejection;
        assert_eq!((since.is_some(), counted), (ejected, multiplier), "after {at} s");
    }
}

#[test]
fn an_ejection_has_its_longest_time() {
    let (policy, now) = (OutlierPolicy::default(), Instant::now());
    let mut ejection = Ejection { since: Some(now), multiplier: 1_000 };
    assert!(!ejection.pass(&policy, now + Duration::from_secs(299)));
    assert!(ejection.pass(&policy, now + Duration::from_secs(300)));
}

proptest! {
    #[test]
    fn the_cap_holds_over_many_reviews(
        percent in 0u32..=100,
        rounds in proptest::collection::vec(proptest::collection::vec((0u64..300, 0u64..300), 20), 1..12),
    ) {
        let policy = OutlierPolicy { max_ejection_percent: percent, ..OutlierPolicy::default() };
        let begun = Instant::now();
        let mut hosts = vec![Host::default(); 20];
        for (round, counts) in rounds.into_iter().enumerate() {
            for (host, (good, bad)) in hosts.iter_mut().zip(counts) {
                (host.good, host.bad) = (good, bad);
            }
            let found = review(&policy, &mut hosts, begun + policy.interval * round as u32);
            let ejected = hosts.iter().filter(|host| host.ejection.since.is_some()).count();
            prop_assert!(ejected == 0 || (ejected - 1) * 100 < percent as usize * hosts.len());
            for (at, verdict) in found {
                let volume = hosts[at].good + hosts[at].bad;
                prop_assert!(verdict == Verdict::Returned || volume >= 50);
            }
        }
    }
}
