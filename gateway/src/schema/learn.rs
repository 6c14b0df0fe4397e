//! Keeps the schema up to date: follows the registry, reads each exposed service, publishes one index.

use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use selvedge::{Instances, Mesh, Services};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::{info, warn};

use crate::{
    config::Expose,
    schema::{
        index::{Schema, State},
        learned::{Files, Learned},
        reflect,
    },
};

/// A service whose registration names no digest is read again after this time.
const REREAD: Duration = Duration::from_secs(300);
/// The first and the longest wait after a failed reading.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Follows the registry and publishes what is known.
#[derive(Debug)]
pub(crate) struct Learner {
    mesh: Mesh,
    expose: Expose,
    schema: Arc<ArcSwap<Schema>>,
    health: HealthReporter,
    followed: BTreeMap<String, Followed>,
    tasks: JoinSet<()>,
    seen: u64,
}

/// One exposed service.
#[derive(Debug)]
struct Followed {
    /// Tells its task which digest the registration names; dropping it ends the task.
    digest: watch::Sender<Option<String>>,
    age: u64,
    state: State,
    /// When it is forgotten: its last instance left the registry.
    until: Option<Instant>,
}

/// What the task of a service read. `age` tells a service from one of the same name that left before.
#[derive(Debug)]
struct News {
    service: String,
    age: u64,
    digest: Option<String>,
    files: Result<Files, String>,
}

impl Learner {
    pub(crate) fn new(mesh: Mesh, expose: Expose, schema: Arc<ArcSwap<Schema>>, health: HealthReporter) -> Self {
        Self { mesh, expose, schema, health, followed: BTreeMap::new(), tasks: JoinSet::new(), seen: 0 }
    }

    /// Runs until told to end.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let (sender, mut news) = mpsc::channel(16);
        let mut services = self.mesh.services();
        services.mark_changed();
        loop {
            let overdue = self.followed.values().filter_map(|followed| followed.until).min();
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = services.changed() => match changed {
                    Ok(()) => {
                        let now = services.borrow_and_update().clone();
                        self.follow(now, &sender).await;
                    }
                    Err(_) => return,
                },
                Some(read) = news.recv() => self.take(read).await,
                () = passed(overdue) => self.forget().await,
                Some(_) = self.tasks.join_next() => {}
            }
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
        for (name, digest) in exposed {
            if let Some(followed) = self.followed.get_mut(&name) {
                followed.until = None;
                followed.digest.send_if_modified(|now| std::mem::replace(now, digest.clone()) != digest);
                continue;
            }
            let age = self.seen;
            self.seen += 1;
            let (sender, receiver) = watch::channel(digest);
            let reading = Reading { mesh: self.mesh.clone(), service: name.clone(), age, news: news.clone() };
            self.tasks.spawn(reading.run(receiver));
            self.followed.insert(name, Followed { digest: sender, age, state: State::default(), until: None });
        }
        self.forget().await;
    }

    /// Forgets what left long ago, and publishes the rest.
    async fn forget(&mut self) {
        let now = Instant::now();
        for gone in self.followed.extract_if(.., |_, followed| followed.until.is_some_and(|at| at <= now)) {
            tell(&self.mesh, &gone.0, &[]);
        }
        self.publish(true).await;
    }

    /// Takes over what a service's task read.
    async fn take(&mut self, news: News) {
        let News { service, age, digest, files } = news;
        let Some(followed) = self.followed.get_mut(&service).filter(|followed| followed.age == age) else { return };
        let same = |files: &Files| {
            let learned = followed.state.learned.as_ref();
            learned.is_some_and(|learned| learned.files == *files && learned.digest == digest)
        };
        let read = match files {
            Ok(files) if same(&files) && followed.state.error.is_none() => return,
            Ok(files) => Learned::new(&service, digest, age, files),
            Err(why) => Err(why),
        };
        match read {
            Ok(mut learned) => {
                learned.is_told = tell(&self.mesh, &service, &learned.files.set());
                info!(service, grpc = ?learned.files.services, "schema read");
                followed.state = State { learned: Some(Arc::new(learned)), error: None };
            }
            // The schema that was known stays.
            Err(why) if followed.state.error.as_ref() == Some(&why) => return,
            Err(why) => followed.state.error = Some(why),
        }
        self.publish(true).await;
    }

    /// Makes the index of what is known now, and tells what is newly wrong with it.
    async fn publish(&mut self, registry_answered: bool) {
        let states = self.followed.iter().map(|(name, followed)| (name.clone(), followed.state.clone())).collect();
        let previous = self.schema.load_full();
        let next = Arc::new(Schema::build(&states, registry_answered, &previous));
        self.schema.store(Arc::clone(&next));
        let known = previous.report.problems();
        for problem in next.report.problems().iter().filter(|problem| !known.contains(problem)) {
            warn!("{problem}");
        }
        for gone in previous.services().keys().filter(|name| !next.services().contains_key(*name)) {
            self.health.clear_service_status(gone).await;
        }
        for new in next.services().keys().filter(|name| !previous.services().contains_key(*name)) {
            self.health.set_service_status(new, ServingStatus::Serving).await;
        }
    }
}

/// Waits until an instant passed, or for ever if there is none.
async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Reads one service again and again.
struct Reading {
    mesh: Mesh,
    service: String,
    age: u64,
    news: mpsc::Sender<News>,
}

impl Reading {
    /// Runs until the digest's sender is dropped.
    async fn run(self, mut digest: watch::Receiver<Option<String>>) {
        let mut wait = RETRY.0;
        loop {
            let tag = digest.borrow_and_update().clone();
            let mut left = digest.clone();
            let files = tokio::select! {
                read = reflect::read(self.mesh.channel(&self.service)) => read,
                () = gone(&mut left) => return,
            };
            let (failed, tagged) = (files.is_err(), tag.is_some());
            let news = News { service: self.service.clone(), age: self.age, digest: tag, files };
            if self.news.send(news).await.is_err() {
                return;
            }
            wait = if failed { (wait * 2).min(RETRY.1) } else { RETRY.0 };
            let again = async {
                match (failed, tagged) {
                    (true, _) => self.changed_or(wait).await,
                    (false, false) => self.changed_or(REREAD).await,
                    (false, true) => pending().await,
                }
            };
            tokio::select! {
                () = again => {}
                changed = digest.changed() => if changed.is_err() { return },
            }
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

async fn gone(digest: &mut watch::Receiver<Option<String>>) {
    while digest.changed().await.is_ok() {}
}

/// Returns the exposed services with the digests that their tags name.
fn exposed(services: &BTreeMap<String, Vec<String>>, expose: Expose, own: &str) -> BTreeMap<String, Option<String>> {
    let reachable = |name: &str, tags: &[String]| name != own && name != "consul" && expose.admits(tags);
    let kept = services.iter().filter(|(name, tags)| reachable(name, tags));
    kept.map(|(name, tags)| (name.clone(), digest(tags))).collect()
}

/// Returns all digests that the tags name: while instances of two versions run, there are two.
fn digest(tags: &[String]) -> Option<String> {
    let mut digests: Vec<&str> = tags.iter().filter_map(|tag| tag.strip_prefix("schema-")).filter(is_digest).collect();
    digests.sort_unstable();
    digests.dedup();
    (!digests.is_empty()).then(|| digests.join("+"))
}

fn is_digest(text: &&str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(list: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
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
    fn the_digest_is_that_of_all_versions_that_run() {
        let digest_of = |tags: &[&str]| digest(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        assert_eq!(digest_of(&["grpc", "schema-short"]), None);
        assert_eq!(digest_of(&["schema-bbbbbbbbbbbb", "schema-aaaaaaaaaaaa"]).unwrap(), "aaaaaaaaaaaa+bbbbbbbbbbbb");
    }
}
