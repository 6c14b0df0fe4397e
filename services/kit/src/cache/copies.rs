//! The copies of one kind of resource: read through, and replaced by what is written.

use std::{
    collections::HashMap,
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Either, Shared, ready, try_join_all},
};
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
        Ok(self.loads.join(&key, || self.filled(cache, &key, load().map_err(Arc::new))).await?)
    }

    /// Returns the resources of several ids, in their order: from their copies, and all others from the database at once.
    /// `load` is given the ids that nobody is reading yet, each once.
    ///
    /// # Errors
    ///
    /// Those of `load`; never one of the cache.
    pub async fn read_all<F>(
        &self,
        ids: &[&str],
        load: impl FnOnce(Vec<String>) -> F + Send + 'static,
    ) -> Result<Vec<Option<T>>, Failure>
    where
        F: Future<Output = Result<HashMap<String, T>, sqlx::Error>> + Send + 'static,
    {
        let Some(cache) = self.cache.opened() else {
            let found = load(ids.iter().map(ToString::to_string).collect()).await?;
            return Ok(ids.iter().map(|id| found.get(*id).cloned()).collect());
        };
        let keys: Vec<_> = ids.iter().map(|id| self.key(cache, id)).collect();
        let batch = Batch::new(load);
        let reads = cache.get_all(&keys).await.into_iter().zip(ids.iter().zip(&keys)).map(|(said, (id, key))| {
            let (read, copy) = self.copy(said);
            cache.measure.read(self.kind.collection, read);
            match copy {
                Some(copy) => Either::Left(ready(Ok(copy))),
                None => Either::Right(self.loads.join(key, || self.filled(cache, key, batch.of(id)))),
            }
        });
        // All have said what they want before the first one waits.
        let reads: Vec<_> = reads.collect();
        Ok(try_join_all(reads).await?)
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

    /// Loads a resource, and puts it into the cache. It begins now.
    fn filled(
        &self,
        cache: &Opened,
        key: &str,
        load: impl Future<Output = Loaded<T>> + Send + 'static,
    ) -> impl Future<Output = Loaded<T>> + Send + 'static {
        let (cache, key, format, begun) = (cache.clone(), key.to_owned(), self.kind.format, Instant::now());
        async move {
            let found = load.await?;
            let version = found.as_ref().map_or(Version::MISSING, Versioned::version);
            let entry = Entry::new(version, format, found.as_ref());
            cache.fill(&key, &entry, begun).await;
            Ok(found)
        }
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

/// One read of the database for several.
struct Batch<T> {
    wanted: Arc<Mutex<Vec<String>>>,
    found: Shared<BoxFuture<'static, Found<T>>>,
}

/// What there is of several ids, or why that is not known.
type Found<T> = Result<Arc<HashMap<String, T>>, Arc<sqlx::Error>>;

impl<T: Clone + Send + Sync + 'static> Batch<T> {
    /// Reads what is wanted by then when the first one waits for it.
    fn new<F>(load: impl FnOnce(Vec<String>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<HashMap<String, T>, sqlx::Error>> + Send + 'static,
    {
        let wanted = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&wanted);
        let found = async move {
            let ids = mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
            load(ids).await.map(Arc::new).map_err(Arc::new)
        };
        Self { wanted, found: found.boxed().shared() }
    }

    /// Wants an id, and waits for what was found of it.
    fn of(&self, id: &str) -> impl Future<Output = Loaded<T>> + Send + use<T> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        let (found, id) = (self.found.clone(), id.to_owned());
        async move { Ok(found.await?.get(&id).cloned()) }
    }
}
