//! Fail static: an answer that takes most of a cluster is not believed at once.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::discovery::{Instance, Instances, feed::View};

/// Where an instance is: with another id it is the same.
type Place = (String, u16);

/// What a source says of one service.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// In the order in which followers see them.
    pub(crate) callable: Vec<Instance>,
    /// Instances in maintenance: somebody means them to go.
    pub(crate) leaving: HashSet<Place>,
}

/// Keeps instances that vanished with more than half of all, as a last resort and for a while. Whether a connection
/// to them still works is not known here: the cluster drops those that are lost.
#[derive(Debug)]
pub(crate) struct Hold {
    hold: Duration,
    callable: Vec<Instance>,
    /// Those that vanished, and until when they are kept.
    held: BTreeMap<Place, (Instance, Instant)>,
}

impl Hold {
    pub(crate) fn new(hold: Duration) -> Self {
        Self { hold, callable: Vec::new(), held: BTreeMap::new() }
    }

    fn seen(&self) -> Instances {
        let held = self.held.values().map(|(instance, _)| instance);
        Instances::Known(self.callable.iter().chain(held).cloned().collect::<Vec<_>>().into())
    }
}

impl View for Hold {
    type Told = Told;
    type Seen = Instances;

    fn see(&mut self, told: Told, now: Instant) -> Instances {
        let Told { callable, leaving } = told;
        let there: HashSet<Place> = callable.iter().map(place).chain(leaving).collect();
        self.held.retain(|place, (_, until)| *until > now && !there.contains(place));
        let before = std::mem::replace(&mut self.callable, callable);
        let all = before.len();
        let vanished: Vec<_> = before.into_iter().filter(|instance| !there.contains(&place(instance))).collect();
        if most(vanished.len(), all)
            && !self.hold.is_zero()
            && let Some(until) = now.checked_add(self.hold)
        {
            let held = vanished.into_iter().map(|one| (place(&one), (Instance { last_resort: true, ..one }, until)));
            self.held.extend(held);
        }
        self.seen()
    }

    fn due(&self) -> Option<Instant> {
        self.held.values().map(|(_, until)| *until).min()
    }

    fn expire(&mut self, now: Instant) -> Option<Instances> {
        let before = self.held.len();
        self.held.retain(|_, (_, until)| *until > now);
        (self.held.len() < before).then(|| self.seen())
    }
}

fn most(vanished: usize, all: usize) -> bool {
    vanished * 2 > all
}

fn place(instance: &Instance) -> Place {
    (instance.host.clone(), instance.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(30);

    /// An answer that names the ports that may be called, and those in maintenance.
    fn told(callable: &[u16], leaving: &[u16]) -> Told {
        let instance = |&port: &u16| Instance::at(port.to_string(), "127.0.0.1", port);
        let leaving = leaving.iter().map(|&port| ("127.0.0.1".into(), port)).collect();
        Told { callable: callable.iter().map(instance).collect(), leaving }
    }

    /// The ports that may be called, and those that are a last resort.
    fn ports(seen: &Instances) -> (Vec<u16>, Vec<u16>) {
        let Instances::Known(seen) = seen else { panic!("something is known") };
        let of = |held: bool| seen.iter().filter(|one| one.last_resort == held).map(|one| one.port).collect();
        (of(false), of(true))
    }

    #[test]
    fn what_vanishes_with_more_than_half_stays_as_a_last_resort() {
        for (before, after, leaving, held) in [
            (vec![1, 2, 3, 4], vec![1, 2, 3], vec![], vec![]),
            (vec![1, 2, 3, 4], vec![1, 2], vec![], vec![]),
            (vec![1, 2, 3, 4], vec![1], vec![], vec![2, 3, 4]),
            (vec![1, 2, 3, 4], vec![], vec![], vec![1, 2, 3, 4]),
            (vec![1], vec![], vec![], vec![1]),
            (vec![1], vec![2], vec![], vec![1]),
            (vec![], vec![], vec![], vec![]),
            (vec![1], vec![], vec![1], vec![]),
            (vec![1, 2, 3, 4], vec![], vec![1, 2], vec![]),
            (vec![1, 2, 3, 4], vec![], vec![1], vec![2, 3, 4]),
        ] {
            let mut hold = Hold::new(HOLD);
            let now = Instant::now();
            hold.see(told(&before, &[]), now);
            let seen = hold.see(told(&after, &leaving), now);
            assert_eq!(ports(&seen), (after.clone(), held), "{before:?} {after:?} {leaving:?}");
        }
    }

    #[test]
    fn a_last_resort_ends_with_its_time_its_return_or_maintenance() {
        let (mut hold, begin) = (Hold::new(HOLD), Instant::now());
        hold.see(told(&[1, 2, 3], &[]), begin);
        assert_eq!(ports(&hold.see(told(&[], &[]), begin)), (vec![], vec![1, 2, 3]));
        let later = begin + Duration::from_secs(10);
        assert_eq!(ports(&hold.see(told(&[1], &[]), later)), (vec![1], vec![2, 3]), "back");
        assert_eq!(ports(&hold.see(told(&[1], &[2]), later)), (vec![1], vec![3]), "in maintenance");
        assert_eq!(hold.due(), Some(begin + HOLD));
        assert_eq!(hold.expire(later), None);
        assert_eq!(ports(&hold.expire(begin + HOLD).unwrap()), (vec![1], vec![]), "its time is over");
        assert_eq!(hold.due(), None);
    }

    #[test]
    fn another_answer_does_not_lengthen_a_last_resort() {
        let (mut hold, begin) = (Hold::new(HOLD), Instant::now());
        hold.see(told(&[1], &[]), begin);
        hold.see(told(&[], &[]), begin);
        hold.see(told(&[], &[]), begin + Duration::from_secs(20));
        assert_eq!(hold.due(), Some(begin + HOLD));
    }
}
