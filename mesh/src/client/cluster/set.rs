//! The endpoints of a cluster at one time, with what picks need of them. A change of discovery makes another set.

use std::sync::Arc;

use crate::{
    client::{
        balance::{
            group::Group,
            maglev::{Maglev, Preference},
            ring::Ring,
        },
        endpoint::Endpoint,
        key,
    },
    discovery::Instance,
    policy::{
        affinity::HashPolicy,
        cluster::{Balance, ClusterPolicy},
    },
};

/// Metadata by which an instance is known on the ring (gRFC A76).
const HASH_KEY: &str = "hash-key";

/// Endpoints, those of the own zone first.
#[derive(Debug, Default)]
pub(crate) struct Set {
    members: Vec<Member>,
    groups: Groups,
    table: Option<Table>,
    /// What the table was made for.
    made_for: (Balance, HashPolicy),
}

/// One endpoint of a set.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) facts: Facts,
    /// Its weight in multiples of the mean.
    pub(crate) share: f32,
}

/// What discovery says of an endpoint that may change while it stays connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Zero is as good as 1.
    pub(crate) weight: u32,
    pub(crate) zone: Option<String>,
    /// It is in the own zone.
    pub(crate) is_near: bool,
    pub(crate) tags: Vec<String>,
    hashes: (u64, u64),
}

/// Ranges of the set to draw from.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) all: Group,
    /// Those of the own zone, and the others.
    pub(crate) near: Group,
    pub(crate) far: Group,
}

/// Where hashes lead.
#[derive(Debug)]
pub(crate) enum Table {
    Ring(Ring),
    Maglev(Maglev),
}

impl Default for Groups {
    fn default() -> Self {
        Self { all: Group::new(0, &[]), near: Group::new(0, &[]), far: Group::new(0, &[]) }
    }
}

impl Facts {
    pub(crate) fn of(instance: &Instance, own_zone: Option<&str>) -> Self {
        let key = instance.meta.get(HASH_KEY).unwrap_or(&instance.id).as_bytes();
        let zone = instance.zone.clone();
        let is_near = zone.is_some() && zone.as_deref() == own_zone;
        let (tags, hashes) = (instance.tags.clone(), (key::hash(key), key::second_hash(key)));
        Self { weight: instance.weight, zone, is_near, tags, hashes }
    }

    /// Its key for rendezvous hashing.
    pub(crate) fn key(&self) -> u64 {
        self.hashes.0
    }
}

impl Set {
    pub(crate) fn new(mut endpoints: Vec<(Arc<Endpoint>, Facts)>, policy: &ClusterPolicy) -> Self {
        endpoints.sort_by_key(|(_, facts)| !facts.is_near);
        let weights: Vec<u32> = endpoints.iter().map(|(_, facts)| facts.weight.max(1)).collect();
        let mean = weights.iter().copied().map(f64::from).sum::<f64>() / weights.len().max(1) as f64;
        let near = endpoints.iter().take_while(|(_, facts)| facts.is_near).count();
        let groups = Groups {
            all: Group::new(0, &weights),
            near: Group::new(0, &weights[..near]),
            far: Group::new(near, &weights[near..]),
        };
        let facts = || endpoints.iter().map(|(_, facts)| facts);
        let hash = &policy.hash;
        let table = match policy.balance {
            Balance::RingHash => {
                let keys: Vec<_> = facts().map(Facts::key).collect();
                Some(Table::Ring(Ring::new(&keys, &weights, hash.ring_places as usize)))
            }
            Balance::Maglev => {
                let preferences = facts().map(|facts| Preference { offset: facts.hashes.0, skip: facts.hashes.1 });
                let preferences: Vec<_> = preferences.collect();
                Some(Table::Maglev(Maglev::new(&preferences, &weights, hash.maglev_places)))
            }
            Balance::PeakEwma | Balance::LeastRequest | Balance::RoundRobin => None,
        };
        let member = |(endpoint, facts): (Arc<Endpoint>, Facts)| {
            let share = (f64::from(facts.weight.max(1)) / mean) as f32;
            Member { endpoint, facts, share }
        };
        let members = endpoints.into_iter().map(member).collect();
        Self { members, groups, table, made_for: (policy.balance, hash.clone()) }
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.members.iter().map(|member| &member.endpoint)
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// Whether it would be made anew of the same endpoints, with the same facts, for the same policy.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let alike = |(one, other): (&Member, &Member)| one.endpoint.id == other.endpoint.id && one.facts == other.facts;
        self.made_for == other.made_for
            && self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(alike)
    }
}

/// Returns the instances that this client connects to: all, or `size` of the own zone and as many of the others, which
/// other clients, with another seed, have others of. Those that are a last resort always.
pub(crate) fn subset<'a>(
    instances: &'a [Instance],
    own_zone: Option<&str>,
    size: Option<u32>,
    seed: u64,
) -> Vec<(&'a Instance, Facts)> {
    let all = || instances.iter().map(|instance| (instance, Facts::of(instance, own_zone)));
    let Some(size) = size else { return all().collect() };
    let (last_resort, callable): (Vec<_>, Vec<_>) = all().partition(|(instance, _)| instance.last_resort);
    let (near, far): (Vec<_>, Vec<_>) = callable.into_iter().partition(|(_, facts)| facts.is_near);
    let chosen = |group: Vec<(&'a Instance, Facts)>| {
        let keys: Vec<_> = group.iter().map(|(_, facts)| facts.key()).collect();
        let chosen = key::subset(&keys, seed, size as usize);
        chosen.into_iter().map(move |at| group[at].clone()).collect::<Vec<_>>()
    };
    [chosen(near), chosen(far), last_resort].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, zone: Option<&str>) -> Instance {
        Instance { zone: zone.map(str::to_owned), ..Instance::at(id, "127.0.0.1", 1) }
    }

    #[test]
    fn a_subset_has_its_size_of_the_own_zone_and_of_the_others() {
        let zones = [Some("a"), Some("b"), None];
        let mut all: Vec<_> = (0..60).map(|at| instance(&format!("users-{at}"), zones[at % 3])).collect();
        all.push(Instance { last_resort: true, ..instance("kept", Some("b")) });
        for (own, size, near, far) in [
            (Some("a"), Some(5), 5, 5),
            (None, Some(5), 0, 5),
            (Some("a"), Some(30), 20, 30),
            (Some("a"), None, 20, 40),
        ] {
            let chosen = subset(&all, own, size, 7);
            let (last, chosen): (Vec<_>, Vec<_>) = chosen.iter().partition(|(instance, _)| instance.last_resort);
            let of = |is_near: bool| chosen.iter().filter(|(_, facts)| facts.is_near == is_near).count();
            assert_eq!((of(true), of(false), last.len()), (near, far, 1), "{own:?} {size:?}");
        }
    }

    #[test]
    fn an_instance_is_known_by_its_hash_key_or_else_by_its_id() {
        let named = |id: &str, key: Option<&str>| {
            let mut instance = instance(id, None);
            instance.meta.extend(key.map(|key| (HASH_KEY.to_owned(), key.to_owned())));
            Facts::of(&instance, None).key()
        };
        assert_eq!(named("a", Some("pod-0")), named("b", Some("pod-0")));
        assert_eq!(named("a", None), named("b", Some("a")));
        assert_ne!(named("a", None), named("b", None));
    }
}
