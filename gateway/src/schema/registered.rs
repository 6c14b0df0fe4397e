//! What registrations say: which services are exposed, and the digests of their schemas.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::Instance;

use crate::config::Expose;

/// The digests that the tags of a service name: while instances of two versions run, there are two; and none where
/// registrations name none.
pub(crate) type Digests = BTreeSet<String>;

/// Returns the exposed services with the digests that their tags name.
pub(crate) fn exposed(
    services: &BTreeMap<String, Vec<String>>,
    expose: Expose,
    own: &str,
) -> BTreeMap<String, Digests> {
    let reachable = |name: &str, tags: &[String]| name != own && name != "consul" && expose.admits(tags);
    let kept = services.iter().filter(|(name, tags)| reachable(name, tags));
    kept.map(|(name, tags)| (name.clone(), digests(tags))).collect()
}

/// Returns the addresses of the instances of one digest, as a fixed list; nothing if there are none.
pub(crate) fn list_of(instances: &[Instance], digest: &str) -> Option<String> {
    let of = instances.iter().filter(|instance| digests(&instance.tags).contains(digest));
    let mut addresses: Vec<_> = of.map(|instance| address(&instance.host, instance.port)).collect();
    addresses.sort_unstable();
    (!addresses.is_empty()).then(|| format!("fixed://{}", addresses.join(",")))
}

/// Tells whether all instances are of this digest.
pub(crate) fn are_all_of(instances: &[Instance], digest: &str) -> bool {
    instances.iter().all(|instance| digests(&instance.tags).iter().eq([digest]))
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn digests(tags: &[String]) -> Digests {
    tags.iter().filter_map(|tag| tag.strip_prefix("schema-")).filter(is_digest).map(str::to_owned).collect()
}

fn is_digest(text: &&str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &[&str]) -> Vec<String> {
        list.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn services(list: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        list.iter().map(|(name, list)| ((*name).to_owned(), tags(list))).collect()
    }

    #[test]
    fn only_tagged_services_are_exposed_and_never_the_gateway() {
        let all = services(&[
            ("consul", &["grpc", "gateway"]),
            ("gateway", &["grpc", "gateway"]),
            ("inner", &["grpc"]),
            ("plain", &["gateway"]),
            ("users", &["grpc", "gateway"]),
        ]);
        let names = |expose| exposed(&all, expose, "gateway").into_keys().collect::<Vec<_>>();
        assert_eq!(names(Expose::Tagged), ["users"]);
        assert_eq!(names(Expose::All), ["inner", "users"]);
    }

    #[test]
    fn tags_name_the_digest_of_every_version_that_runs() {
        let digests_of = |list: &[&str]| digests(&tags(list)).into_iter().collect::<Vec<_>>();
        assert!(digests_of(&["grpc", "schema-short", "schema-zzzzzzzzzzzz"]).is_empty());
        assert_eq!(digests_of(&["schema-bbbbbbbbbbbb", "schema-aaaaaaaaaaaa"]), ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]);
    }

    #[test]
    fn an_address_of_version_6_has_brackets() {
        assert_eq!((address("10.0.0.7", 1), address("::1", 2)), ("10.0.0.7:1".into(), "[::1]:2".into()));
    }
}
