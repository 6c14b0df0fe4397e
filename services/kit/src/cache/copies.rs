//! The copies of one kind of resource: read through, and replaced by what is written.

use std::{future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    cache::{
        entry::{self, Entry, Version, Versioned},
        loads::{Loaded, Loads},
        measure::Read,
        place::{Cache, Opened, Said},
    },
    database::Failure,
};

/// A kind of resource.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The collection, such as `users`.
    pub collection: &'static str,
    /// How its resources are written as JSON: another number with each change of that, such as the newest migration's
    /// version. What another release wrote is then not read, and what it wrote later still replaces what is there.
    pub format: i64,
}

/// The copies of one kind of resource. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Copies<T> {
    cache: Cache,
    kind: Kind,
    loads: Loads<T>,
}

impl<T> Copies<T>
where
    T: Versioned + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    /// Keeps copies in a cache.
    #[must_use]
    pub fn new(cache: Cache, kind: Kind) -> Self {
        Self { cache, kind, loads: Loads::new() }
    }

    /// Returns the resource of an id, or that there is none: from its copy, or else from the database. Of those who
    /// want the same at once, one asks the database.
    ///
    /// # Errors
    ///
    /// Those of `load`; never one of the cache.
    pub async fn read<F>(&self, id: &str, load: impl FnOnce() -> F) -> Result<Option<T>, Failure>
    where
        F: Future<Output = Result<Option<T>, sqlx::Error>> + Send + 'static,
    {
        let Some(cache) = self.cache.opened() else { return Ok(load().await?) };
        let key = self.key(cache, id);
        let (read, copy) = self.copy(cache.get(&key).await);
        cache.measure.read(self.kind.collection, read);
        if let Some(copy) = copy {
            return Ok(copy);
        }
        let begin = || filled(cache.clone(), key.clone(), self.kind.format, load());
        Ok(self.loads.join(&key, begin).await?)
    }

    /// Replaces the copy of an id by what a write left. It was committed, and is not answered yet.
    pub async fn written(&self, id: &str, resource: &T) {
        self.replace(id, resource.version(), Some(resource)).await;
    }

    /// Replaces the copy of an id by what the database has: after the repetition of a write, of which nobody knows whether
    /// the cache was told. Its answer itself may be old by now.
    ///
    /// # Errors
    ///
    /// Those of `load`.
    pub async fn renew<F>(&self, id: &str, load: impl FnOnce() -> F) -> Result<(), Failure>
    where
        F: Future<Output = Result<Option<T>, sqlx::Error>>,
    {
        if self.cache.opened().is_some()
            && let Some(resource) = load().await?
        {
            self.written(id, &resource).await;
        }
        Ok(())
    }

    /// Replaces the copy of an id by the knowledge that its resource was deleted. That was committed, and is not
    /// answered yet.
    pub async fn deleted(&self, id: &str, last: &T) {
        self.replace(id, last.version().deleted(), None).await;
    }

    async fn replace(&self, id: &str, version: Version, resource: Option<&T>) {
        let Some(cache) = self.cache.opened() else { return };
        let key = self.key(cache, id);
        cache.replace(&key, Entry::new(version, self.kind.format, resource)).await;
        self.loads.forget(&key);
    }

    fn copy(&self, said: Said) -> (Read, Option<Option<T>>) {
        match said {
            Said::There(body) => match entry::read(&body, self.kind.format) {
                Some(copy) => (Read::Hit, Some(copy)),
                None => (Read::Miss, None),
            },
            Said::Nothing => (Read::Miss, None),
            Said::Silent(silence) => (Read::Silent(silence), None),
        }
    }

    fn key(&self, cache: &Opened, id: &str) -> String {
        format!("selvedge:{}:{}/{id}", cache.service, self.kind.collection)
    }
}

/// Loads a resource, and puts it into the cache.
async fn filled<T: Versioned + Serialize>(
    cache: Opened,
    key: String,
    format: i64,
    load: impl Future<Output = Result<Option<T>, sqlx::Error>>,
) -> Loaded<T> {
    let begun = Instant::now();
    let found = load.await.map_err(Arc::new)?;
    let version = found.as_ref().map_or(Version::MISSING, Versioned::version);
    let entry = Entry::new(version, format, found.as_ref());
    cache.fill(&key, &entry, begun).await;
    Ok(found)
}
