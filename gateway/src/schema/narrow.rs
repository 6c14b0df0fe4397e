//! Which instances have a method, while versions of a service run side by side.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use selvedge::Tagged;

use crate::schema::learned::Learned;

/// Returns the methods of a gRPC service that not all versions have, by path, with the tags of the instances that do:
/// anywhere else a call would be UNIMPLEMENTED.
///
/// Methods that had such tags `before` keep having some, though now all versions have them: the list of instances may
/// be a little older than the list of versions, and still hold one that has left.
pub(crate) fn tagged<'v>(
    grpc_service: &str,
    versions: impl Iterator<Item = &'v Arc<Learned>>,
    before: &HashMap<String, Tagged>,
) -> HashMap<String, Tagged> {
    let versions: Vec<_> = versions.collect();
    if versions.len() < 2 && before.is_empty() {
        return HashMap::new();
    }
    let mut having: BTreeMap<&str, Vec<&Learned>> = BTreeMap::new();
    for version in &versions {
        for bound in version.bound(grpc_service) {
            having.entry(&bound.method.path).or_default().push(version);
        }
    }
    let narrowed = having.into_iter().filter_map(|(path, some)| {
        let is_narrow = some.len() < versions.len() || before.contains_key(path);
        // A version whose instances say no digest cannot be told from others.
        let tag = |version: &&Learned| version.digest.as_ref().map(|digest| format!("schema-{digest}"));
        let tags: Vec<_> = some.iter().map(tag).collect::<Option<_>>()?;
        is_narrow.then(|| (path.to_owned(), Tagged::any(tags)))
    });
    narrowed.collect()
}
