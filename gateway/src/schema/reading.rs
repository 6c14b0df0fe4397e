//! Reads one service again and again.

use std::{collections::BTreeMap, future::pending, time::Duration};

use selvedge::{Instances, Mesh};
use tokio::sync::{mpsc, watch};

use crate::schema::{
    files::Files,
    reflect,
    registered::{Digests, are_all_of, list_of},
};

/// A service whose registration names no digest is read again after this time.
const REREAD: Duration = Duration::from_secs(300);
/// The first and the longest wait after a failed reading.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How many versions of one service are read.
const VERSIONS: usize = 4;

/// What the task of a service read. `age` tells a service from one of the same name that left before.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) service: String,
    pub(crate) age: u64,
    pub(crate) read: Read,
}

/// The versions that were read, and why others were not.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// With the digests that registrations name.
    pub(crate) versions: Vec<(Option<String>, Files)>,
    pub(crate) error: Option<String>,
}

/// The reading of one service.
#[derive(Debug)]
pub(crate) struct Reading {
    mesh: Mesh,
    service: String,
    age: u64,
    news: mpsc::Sender<News>,
    /// By digest: what was read of instances that are of it for certain.
    known: BTreeMap<String, Files>,
}

impl Reading {
    pub(crate) fn new(mesh: Mesh, service: String, age: u64, news: mpsc::Sender<News>) -> Self {
        Self { mesh, service, age, news, known: BTreeMap::new() }
    }

    /// Runs until the sender of the digests is dropped.
    pub(crate) async fn run(mut self, mut digests: watch::Receiver<Digests>) {
        let mut wait = RETRY.0;
        loop {
            let named = digests.borrow_and_update().clone();
            let mut left = digests.clone();
            let read = tokio::select! {
                read = self.read(&named) => read,
                () = gone(&mut left) => return,
            };
            let failed = read.error.is_some() || read.versions.len() < named.len();
            let news = News { service: self.service.clone(), age: self.age, read };
            if self.news.send(news).await.is_err() {
                return;
            }
            wait = if failed { (wait * 2).min(RETRY.1) } else { RETRY.0 };
            let again = async {
                match (failed, named.is_empty()) {
                    (true, _) => self.changed_or(wait).await,
                    (false, true) => self.changed_or(REREAD).await,
                    (false, false) => pending().await,
                }
            };
            tokio::select! {
                () = again => {}
                changed = digests.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn read(&mut self, named: &Digests) -> Read {
        self.known.retain(|digest, _| named.contains(digest));
        let read = if named.len() > 1 { self.each(named).await } else { Read::default() };
        if read.versions.is_empty() && read.error.is_none() {
            return self.any(named.first().filter(|_| named.len() == 1)).await;
        }
        read
    }

    /// Asks any instance: all are of one version, or do not say which.
    async fn any(&mut self, digest: Option<&String>) -> Read {
        if let Some(files) = digest.and_then(|digest| self.known.get(digest)) {
            return Read { versions: vec![(digest.cloned(), files.clone())], error: None };
        }
        match reflect::read(self.mesh.channel(&self.service)).await {
            Ok(files) => {
                if let Some(digest) = digest.filter(|digest| self.are_all_of(digest)) {
                    self.known.insert(digest.clone(), files.clone());
                }
                Read { versions: vec![(digest.cloned(), files)], error: None }
            }
            Err(why) => Read { versions: Vec::new(), error: Some(why) },
        }
    }

    /// Asks an instance of each version. A version whose instances cannot be called now needs no schema now.
    async fn each(&mut self, named: &Digests) -> Read {
        let (mut versions, mut errors) = (Vec::new(), Vec::new());
        if named.len() > VERSIONS {
            errors.push(format!("its registrations name {} schemas: {VERSIONS} of them are read", named.len()));
        }
        for digest in named.iter().take(VERSIONS) {
            if !self.known.contains_key(digest) {
                match self.version(digest).await {
                    Some(Ok(files)) => _ = self.known.insert(digest.clone(), files),
                    Some(Err(why)) => errors.push(format!("schema-{digest}: {why}")),
                    None => {}
                }
            }
            versions.extend(self.known.get(digest).map(|files| (Some(digest.clone()), files.clone())));
        }
        Read { versions, error: (!errors.is_empty()).then(|| errors.join("; ")) }
    }

    async fn version(&self, digest: &str) -> Option<Result<Files, String>> {
        let mut instances = self.mesh.instances(&self.service);
        let list = {
            let known = tokio::time::timeout(RETRY.1, instances.wait_for(|known| *known != Instances::Unknown)).await;
            match &*known.ok()?.ok()? {
                Instances::Known(instances) => list_of(instances, digest)?,
                Instances::Unknown => return None,
            }
        };
        Some(reflect::read(self.mesh.channel(&list)).await)
    }

    fn are_all_of(&self, digest: &str) -> bool {
        match &*self.mesh.instances(&self.service).borrow() {
            Instances::Known(instances) => are_all_of(instances, digest),
            Instances::Unknown => false,
        }
    }

    /// Waits for the instances to change, at most this long.
    async fn changed_or(&self, most: Duration) {
        let mut instances = self.mesh.instances(&self.service);
        let known = instances.borrow_and_update().clone();
        let changed = async {
            // A watch that has just begun tells first what there is: that is no change.
            let mut known = known;
            while instances.changed().await.is_ok() {
                let now = instances.borrow_and_update().clone();
                if known != Instances::Unknown && now != known {
                    return;
                }
                known = now;
            }
            pending().await
        };
        _ = tokio::time::timeout(most, changed).await;
    }
}

async fn gone(digests: &mut watch::Receiver<Digests>) {
    while digests.changed().await.is_ok() {}
}
