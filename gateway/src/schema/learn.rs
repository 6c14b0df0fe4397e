//! Keeps the schema up to date: follows the registry, reads each exposed service, publishes one index.
//!
//! What takes long for a large schema (linking, indexing, files) runs on threads for blocking work: no call waits.

use std::{
    collections::{BTreeMap, HashSet},
    future::pending,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use selvedge::{Mesh, Services};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::{info, warn};

use crate::{
    config::{Expose, JsonFormats},
    schema::{
        files::Files,
        honest::clean,
        index::{Schema, State},
        learned::Learned,
        reading::{News, Read, Reading},
        registered::{Digests, exposed},
        store::{self, Kept, Store},
    },
};

/// How long the kept schema of a service that the registry does not name is kept on.
const UNNAMED: Duration = Duration::from_secs(300);

/// Follows the registry and publishes what is known.
#[derive(Debug)]
pub(crate) struct Learner {
    mesh: Mesh,
    expose: Expose,
    json: Arc<JsonFormats>,
    schema: Arc<ArcSwap<Schema>>,
    health: HealthReporter,
    followed: BTreeMap<String, Followed>,
    tasks: JoinSet<()>,
    seen: u64,
    stored: Stored,
}

/// One exposed service.
#[derive(Debug)]
struct Followed {
    /// Tells its task which digests registrations name; dropping it ends the task.
    digests: watch::Sender<Digests>,
    age: u64,
    state: State,
    /// When it is forgotten: its last instance left the registry.
    until: Option<Instant>,
}

/// What is on disk.
#[derive(Debug, Default)]
struct Stored {
    /// What an earlier process kept of services that the registry has not named since, with their ages.
    unnamed: BTreeMap<String, (u64, Kept)>,
    /// When that is given up.
    until: Option<Instant>,
    keeper: Option<(watch::Sender<Vec<Kept>>, JoinHandle<()>)>,
}

impl Learner {
    pub(crate) fn new(mesh: Mesh, expose: Expose, schema: Arc<ArcSwap<Schema>>, health: HealthReporter) -> Self {
        let (followed, tasks, stored) = (BTreeMap::new(), JoinSet::new(), Stored::default());
        Self { mesh, expose, json: Arc::default(), schema, health, followed, tasks, seen: 0, stored }
    }

    /// Sets what the operator says of the JSON of services.
    pub(crate) fn with_json(self, formats: JsonFormats) -> Self {
        Self { json: Arc::new(formats), ..self }
    }

    /// Runs until told to end.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let (sender, mut news) = mpsc::channel(16);
        self.restore().await;
        let mut services = self.mesh.services();
        services.mark_changed();
        loop {
            let overdue = self.followed.values().filter_map(|followed| followed.until).chain(self.stored.until).min();
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = services.changed() => match changed {
                    Ok(()) => {
                        let now = services.borrow_and_update().clone();
                        self.follow(now, &sender).await;
                    }
                    Err(_) => break,
                },
                Some(read) = news.recv() => self.take(read).await,
                () = passed(overdue) => self.forget().await,
                Some(_) = self.tasks.join_next() => {}
            }
        }
        if let Some((told, keeping)) = self.stored.keeper {
            drop(told);
            _ = keeping.await;
        }
    }

    /// Reads what an earlier process kept, if the mesh keeps a snapshot: the ages of services are among it.
    async fn restore(&mut self) {
        let config = self.mesh.config();
        let Some(folder) = &config.discovery.snapshot else { return };
        let mut store = Store::new(folder, &config.service);
        let read = spawn_blocking(move || (store.read(), store)).await;
        let Ok((kept, store)) = read else { return };
        let (told, telling) = watch::channel(Vec::new());
        self.stored.keeper = Some((told, tokio::spawn(store::keep(store, telling))));
        for kept in kept {
            self.stored.unnamed.insert(kept.service.clone(), (self.seen, kept));
            self.seen += 1;
        }
    }

    /// Begins to read services that came, passes on digests that changed, and forgets what is no longer exposed. What has
    /// no instance any more stays for a while: an agent that restarted empty does not close the gateway.
    async fn follow(&mut self, services: Services, news: &mpsc::Sender<News>) {
        let Some(services) = services else { return };
        let exposed = exposed(&services, self.expose, &self.mesh.config().service);
        let hold = self.mesh.config().discovery.hold;
        for (name, followed) in self.followed.iter_mut().filter(|(name, _)| !exposed.contains_key(*name)) {
            let patience = if services.contains_key(name) { Duration::ZERO } else { hold };
            let until = Instant::now() + patience;
            followed.until = Some(followed.until.map_or(until, |known| known.min(until)));
        }
        for (name, digests) in exposed {
            if let Some(followed) = self.followed.get_mut(&name) {
                followed.until = None;
                followed.digests.send_if_modified(|now| std::mem::replace(now, digests.clone()) != digests);
                continue;
            }
            let (age, state) = self.begin(&name, &digests).await;
            let (sender, receiver) = watch::channel(digests);
            let reading = Reading::new(self.mesh.clone(), name.clone(), age, news.clone());
            self.tasks.spawn(reading.run(receiver));
            self.followed.insert(name, Followed { digests: sender, age, state, until: None });
        }
        if !self.stored.unnamed.is_empty() && self.stored.until.is_none() {
            self.stored.until = Some(Instant::now() + UNNAMED);
        }
        self.forget().await;
    }

    /// Returns the age of a service that came, and what is known of it from disk: until it was read.
    async fn begin(&mut self, name: &str, digests: &Digests) -> (u64, State) {
        let Some((age, kept)) = self.stored.unnamed.remove(name) else {
            self.seen += 1;
            return (self.seen - 1, State::default());
        };
        let is_named = |digest: &Option<String>| digest.as_ref().is_some_and(|digest| digests.contains(digest));
        let some_named = kept.versions.iter().any(|(digest, _)| is_named(digest));
        let mut versions = kept.versions;
        versions.retain(|(digest, _)| !some_named || is_named(digest));
        let (linked, error) = self.link(name, age, versions).await;
        if let Some(error) = error {
            warn!(service = name, error, "the schema on disk is not used");
        }
        let state = State { from_disk: true, ..state(linked, None) };
        if state.learned.is_some() {
            info!(service = name, schemas = ?named(&state), "schema taken from disk, until an instance tells its own");
        }
        (age, state)
    }

    /// Forgets what left long ago, and publishes the rest.
    async fn forget(&mut self) {
        let now = Instant::now();
        for gone in self.followed.extract_if(.., |_, followed| followed.until.is_some_and(|at| at <= now)) {
            tell(&self.mesh, &gone.0, &[]);
        }
        if self.stored.until.take_if(|at| *at <= now).is_some() {
            self.stored.unnamed.clear();
        }
        self.keep();
        self.publish().await;
    }

    /// Takes over what a service's task read.
    async fn take(&mut self, news: News) {
        let News { service, age, read: Read { versions, mut error } } = news;
        let Some(followed) = self.followed.get(&service).filter(|followed| followed.age == age) else { return };
        let is_known = versions.is_empty() || (!followed.state.from_disk && is_same(&followed.state, &versions));
        if is_known && followed.state.error == error {
            return;
        }
        let mut linked = Vec::new();
        if !is_known {
            let (some, wrong) = self.link(&service, age, versions).await;
            linked = some;
            error = error.into_iter().chain(wrong).reduce(|one, other| format!("{one}; {other}"));
        }
        let Some(followed) = self.followed.get_mut(&service) else { return };
        if linked.is_empty() {
            // The schema that was known stays.
            followed.state.error = error;
        } else {
            followed.state = state(linked, error);
            let grpc = followed.state.learned.as_ref().map(|learned| &learned.files.services);
            info!(service, ?grpc, schemas = ?named(&followed.state), "schema read");
            self.keep();
        }
        self.publish().await;
    }

    /// Links versions of one service, and tells the mesh of the first. The error says which do not link.
    async fn link(
        &self,
        service: &str,
        age: u64,
        versions: Vec<(Option<String>, Files)>,
    ) -> (Vec<Learned>, Option<String>) {
        let (mesh, service) = (self.mesh.clone(), service.to_owned());
        let linking = spawn_blocking(move || link(&mesh, &service, age, versions));
        // A reader that breaks breaks alone.
        let broken = |_| (Vec::new(), Some("its descriptors cannot be read".to_owned()));
        let (mut linked, error) = linking.await.unwrap_or_else(broken);
        linked.iter_mut().for_each(|learned| learned.json = Arc::clone(&self.json));
        (linked, error)
    }

    /// Makes the index of what is known now, and tells what is newly wrong with it.
    async fn publish(&mut self) {
        let states = self.followed.iter().map(|(name, followed)| (name.clone(), followed.state.clone())).collect();
        let previous = self.schema.load_full();
        let building = spawn_blocking({
            let previous = Arc::clone(&previous);
            move || Arc::new(Schema::build(&states, true, &previous))
        });
        let Ok(next) = building.await else { return };
        self.schema.store(Arc::clone(&next));
        let known: HashSet<String> = previous.report.problems().into_iter().collect();
        for problem in next.report.problems().iter().filter(|problem| !known.contains(*problem)) {
            warn!("{problem}");
        }
        for gone in previous.services().keys().filter(|name| !next.services().contains_key(*name)) {
            self.health.clear_service_status(gone).await;
        }
        for new in next.services().keys().filter(|name| !previous.services().contains_key(*name)) {
            self.health.set_service_status(new, ServingStatus::Serving).await;
        }
    }

    /// Has what is known written to disk, if it is kept there: the service that was seen first goes first.
    fn keep(&self) {
        let Some((told, _)) = &self.stored.keeper else { return };
        let followed = self.followed.iter().map(|(name, followed)| {
            let version = |version: &Arc<Learned>| (version.digest.clone(), version.files.clone());
            let versions: Vec<_> = followed.state.versions().map(version).collect();
            (followed.age, Kept { service: name.clone(), versions })
        });
        let mut all: Vec<_> = followed.chain(self.stored.unnamed.values().cloned()).collect();
        all.retain(|(_, kept)| !kept.versions.is_empty());
        all.sort_by_key(|(age, _)| *age);
        told.send_replace(all.into_iter().map(|(_, kept)| kept).collect());
    }
}

/// Waits until an instant passed, or for ever if there is none.
async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Links versions of one service, the one that declares the most before the others.
fn link(
    mesh: &Mesh,
    service: &str,
    age: u64,
    versions: Vec<(Option<String>, Files)>,
) -> (Vec<Learned>, Option<String>) {
    let (mut linked, mut errors) = (Vec::new(), Vec::new());
    for (digest, files) in versions {
        let name = digest.as_ref().map(|digest| format!("schema-{digest}: ")).unwrap_or_default();
        match Learned::new(service, digest, age, files) {
            Ok(learned) => linked.push(learned),
            Err(why) => errors.push(name + &clean(&why)),
        }
    }
    linked.sort_by_cached_key(Learned::rank);
    if let Some(first) = linked.first_mut() {
        first.is_told = tell(mesh, service, &first.files.linkable().expect("it was linked"));
    }
    (linked, (!errors.is_empty()).then(|| errors.join("; ")))
}

fn state(linked: Vec<Learned>, error: Option<String>) -> State {
    let mut versions = linked.into_iter().map(Arc::new);
    let learned = versions.next();
    State { learned, others: versions.collect(), from_disk: false, error }
}

fn is_same(state: &State, versions: &[(Option<String>, Files)]) -> bool {
    let known: BTreeMap<_, _> = state.versions().map(|version| (&version.digest, &version.files)).collect();
    known == versions.iter().map(|(digest, files)| (digest, files)).collect()
}

fn named(state: &State) -> Vec<&str> {
    state.versions().filter_map(|version| version.digest.as_deref()).collect()
}

/// Tells the mesh what descriptors say of the methods of a service; without it each call says what it knows of its own.
fn tell(mesh: &Mesh, service: &str, descriptors: &[u8]) -> bool {
    match mesh.learn(service, descriptors) {
        Ok(()) => true,
        Err(error) => {
            warn!(service, %error, "the options of a method are not used");
            false
        }
    }
}

#[cfg(test)]
mod tests;
