//! Where a call belongs, if its service is called by hash: what its headers and its channel say.

use http::HeaderMap;

use crate::{
    client::key::{hash, mix},
    policy::live::Live,
};

/// Hashes the calls of one channel.
#[derive(Debug)]
pub(crate) struct Hashing {
    policy: Live,
    /// Drawn when the channel was made.
    channel: u64,
}

impl Hashing {
    pub(crate) fn new(policy: Live, channel: u64) -> Self {
        Self { policy, channel }
    }

    /// Returns the hash of a call with these headers; nothing if it has none, or its service is not called by hash.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<u64> {
        let policy = self.policy.load();
        if !policy.balance.is_by_hash() {
            return None;
        }
        of_headers(&policy.hash.headers, headers).or(policy.hash.channel.then_some(self.channel))
    }
}

/// Hashes the values of headers together; nothing if there is none of them.
fn of_headers(names: &[String], headers: &HeaderMap) -> Option<u64> {
    let values = |name: &String| headers.get_all(name.as_str()).into_iter();
    if names.iter().all(|name| values(name).next().is_none()) {
        return None;
    }
    let of_name = |name: &String| values(name).fold(0, |so_far, value| mix(hash(value.as_bytes()), so_far));
    Some(names.iter().fold(0, |so_far, name| mix(of_name(name), so_far)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::cluster::{Balance, ClusterPolicy};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_the_headers_say_goes_before_the_channel() {
        let mut policy = ClusterPolicy { balance: Balance::RingHash, ..ClusterPolicy::default() };
        policy.hash.headers = vec!["x-user".into(), "x-region".into()];
        let of = |policy: &ClusterPolicy, pairs| Hashing::new(policy.clone().into(), 7).of(&headers(pairs));
        assert_eq!(of(&policy, &[]), None);
        policy.hash.channel = true;
        assert_eq!(of(&policy, &[]), Some(7));
        let ada = of(&policy, &[("x-user", "ada"), ("x-region", "eu")]);
        assert_eq!(of(&policy, &[("x-region", "eu"), ("x-user", "ada"), ("x-other", "1")]), ada);
        for other in [
            &[("x-user", "ada")][..],
            &[("x-user", "bob"), ("x-region", "eu")],
            &[("x-user", "eu"), ("x-region", "ada")],
            &[("x-user", "ada"), ("x-user", "ada"), ("x-region", "eu")],
        ] {
            let other = of(&policy, other);
            assert!(other.is_some() && other != ada && other != Some(7), "{other:?}");
        }
        policy.balance = Balance::PeakEwma;
        assert_eq!(of(&policy, &[("x-user", "ada")]), None, "it is not called by hash");
    }
}
