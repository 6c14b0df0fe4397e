//! What followers see, kept on disk, and taken from there when a source cannot be asked at the start.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::{
    discovery::{
        Instance, Instances, Services,
        feed::View,
        hold::{Hold, Told},
    },
    snapshot::{self, Record, Snapshot},
};

/// What changes in this time is written together.
const TOGETHER: Duration = Duration::from_millis(200);

/// The snapshot, and who writes it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    snapshot: Arc<Snapshot>,
    tasks: TaskTracker,
    told: Arc<AtomicBool>,
}

impl Memory {
    pub(crate) fn new(snapshot: Arc<Snapshot>, tasks: TaskTracker) -> Self {
        Self { snapshot, tasks, told: Arc::default() }
    }

    /// Notes in which datacenter the source says it is.
    pub(crate) fn note_datacenter(&self, datacenter: &str) {
        self.snapshot.note_datacenter(datacenter);
    }

    fn keep_instances(&self, service: &str, list: &[Instance]) {
        if self.snapshot.keep_instances(service, list.iter().map(record).collect()) {
            self.write();
        }
    }

    fn keep_services(&self, names: &snapshot::Names) {
        if self.snapshot.keep_services(names) {
            self.write();
        }
    }

    fn write(&self) {
        let snapshot = Arc::clone(&self.snapshot);
        self.tasks.spawn(async move {
            sleep(TOGETHER).await;
            // It ends with the runtime at the latest, and has nothing to say.
            let _ = spawn_blocking(move || snapshot.write()).await;
        });
    }

    /// Says once that what is seen is not the source's.
    fn tell(&self) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let (path, age) = (self.snapshot.path().display(), self.snapshot.age().unwrap_or_default());
        warn!(%path, age_s = age.as_secs(), "the registry cannot be asked: starting from what was known");
    }
}

/// The instances of one service, as followers see them.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) service: String,
    pub(crate) hold: Hold,
    pub(crate) memory: Option<Memory>,
}

impl View for Followed {
    type Told = Told;
    type Seen = Instances;

    fn see(&mut self, told: Told, now: Instant) -> Instances {
        let seen = self.hold.see(told, now);
        if let (Some(memory), Instances::Known(list)) = (&self.memory, &seen) {
            memory.keep_instances(&self.service, list);
        }
        seen
    }

    fn due(&self) -> Option<Instant> {
        self.hold.due()
    }

    fn expire(&mut self, now: Instant) -> Option<Instances> {
        self.hold.expire(now)
    }

    fn remembered(&mut self, now: Instant) -> Option<Instances> {
        let memory = self.memory.as_ref()?;
        let callable = memory.snapshot.instances(&self.service)?.into_iter().map(instance).collect();
        memory.tell();
        Some(self.hold.see(Told { callable, ..Told::default() }, now))
    }
}

/// The names of all services, as followers see them.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) memory: Option<Memory>,
}

impl View for Named {
    type Told = snapshot::Names;
    type Seen = Services;

    fn see(&mut self, told: snapshot::Names, _: Instant) -> Services {
        if let Some(memory) = &self.memory {
            memory.keep_services(&told);
        }
        Some(Arc::new(told))
    }

    fn remembered(&mut self, _: Instant) -> Option<Services> {
        let memory = self.memory.as_ref()?;
        let names = memory.snapshot.services()?;
        memory.tell();
        Some(Some(Arc::new(names)))
    }
}

fn record(instance: &Instance) -> Record {
    let Instance { id, host, port, tags, meta, weight, zone, .. } = instance.clone();
    Record { id, host, port, tags, meta, weight, zone }
}

fn instance(record: Record) -> Instance {
    let Record { id, host, port, tags, meta, weight, zone } = record;
    Instance { id, host, port, tags, meta, weight, zone, last_resort: false }
}
