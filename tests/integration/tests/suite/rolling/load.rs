//! Steady calls from a mesh client, by REST and by gRPC-Web; some of them slow.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use selvedge::{Channel, Config, Mesh};
use selvedge_harness::{LIMIT, eventually};
use selvedge_proto::users::v1::{self, GetUserRequest, User, user_service_client::UserServiceClient};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    grpc_web::{self, Encoding},
    late,
};

/// Workers of each kind; together 32 calls are under way at once.
const MESH: u64 = 12;
const REST: u64 = 8;
const GRPC_WEB: u64 = 8;
const SLOW: u64 = 4;

/// Calls under way, until they are told to stop.
pub(super) struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
    began: Instant,
}

/// What came of them.
pub(super) struct Tally {
    pub(super) idempotent: u64,
    pub(super) created: u64,
    pub(super) failures: Vec<String>,
    /// Calls a second.
    pub(super) rate: u64,
}

struct Shared {
    stop: CancellationToken,
    /// From here on no process is killed: a creation that fails now is a failure.
    peaceful: AtomicBool,
    channel: Channel,
    gateway: String,
    http: reqwest::Client,
    idempotent: AtomicU64,
    created: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    pub(super) async fn start(registry: &str, gateway: &str, stop: &CancellationToken) -> anyhow::Result<Self> {
        let mut config = Config::new("load");
        config.registry.address = registry.into();
        let mesh = Mesh::builder(config).upstream_descriptors(v1::FILE_DESCRIPTOR_SET).build()?;
        let shared = Arc::new(Shared {
            stop: stop.clone(),
            peaceful: AtomicBool::new(false),
            channel: mesh.channel("users"),
            gateway: gateway.into(),
            http: reqwest::Client::new(),
            idempotent: AtomicU64::new(0),
            created: AtomicU64::new(0),
            failures: Mutex::new(Vec::new()),
        });
        shared.create("ada-1815").await?;
        let mut workers = JoinSet::new();
        for worker in 0..MESH + REST + GRPC_WEB + SLOW {
            workers.spawn(Arc::clone(&shared).work(worker));
        }
        Ok(Self { shared, workers, began: Instant::now() })
    }

    /// Waits until so many calls were made in all.
    pub(super) async fn reaches(&self, calls: u64) -> anyhow::Result<()> {
        eventually(LIMIT, async || {
            let made = self.shared.made();
            anyhow::ensure!(made >= calls, "{made} calls");
            Ok(())
        })
        .await
    }

    /// Says that nobody will be killed any more. Until then a creation that was under way may be lost with the
    /// process that it was sent to: nobody may send it twice.
    pub(super) fn is_peaceful(&self) {
        self.shared.peaceful.store(true, Ordering::Release);
    }

    /// Waits until so many more calls were made.
    pub(super) async fn goes_on(&self, calls: u64) -> anyhow::Result<()> {
        self.reaches(self.shared.made() + calls).await
    }

    pub(super) async fn goes_on_until(&self, end: Instant) {
        tokio::time::sleep_until(end).await;
    }

    /// Waits for the last calls.
    pub(super) async fn end(mut self) -> anyhow::Result<Tally> {
        while let Some(worker) = self.workers.join_next().await {
            worker?;
        }
        let shared = &self.shared;
        let rate = shared.made() / self.began.elapsed().as_secs().max(1);
        let (idempotent, created) = (shared.idempotent.load(Ordering::Relaxed), shared.created.load(Ordering::Relaxed));
        let failures = shared.failures.lock().expect("no worker panicked").clone();
        Ok(Tally { idempotent, created, failures, rate })
    }
}

impl Shared {
    fn made(&self) -> u64 {
        self.idempotent.load(Ordering::Relaxed) + self.created.load(Ordering::Relaxed)
    }

    async fn work(self: Arc<Self>, worker: u64) {
        let mut round = 0;
        while !self.stop.is_cancelled() {
            let excused = worker >= MESH + REST + GRPC_WEB && !self.peaceful.load(Ordering::Acquire);
            let (counter, done) = if worker < MESH {
                (&self.idempotent, self.get_by_mesh().await)
            } else if worker < MESH + REST {
                (&self.idempotent, self.get_by_rest().await)
            } else if worker < MESH + REST + GRPC_WEB {
                (&self.idempotent, self.get_by_grpc_web().await)
            } else {
                (&self.created, self.create_slowly(worker, round).await)
            };
            match done {
                Ok(()) => drop(counter.fetch_add(1, Ordering::Relaxed)),
                Err(_) if excused => {}
                Err(error) => self.failures.lock().expect("no worker panicked").push(format!("{worker}: {error:#}")),
            }
            round += 1;
        }
    }

    async fn get_by_mesh(&self) -> anyhow::Result<()> {
        let request = GetUserRequest { name: "users/ada-1815".into() };
        let mut client = UserServiceClient::new(self.channel.clone());
        client.get_user(request).await.map(drop).context("mesh")
    }

    async fn get_by_rest(&self) -> anyhow::Result<()> {
        let response = self.http.get(format!("{}/v1/users/ada-1815", self.gateway)).send().await?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(status == 200, "rest: HTTP {status}: {text}");
        Ok(())
    }

    async fn get_by_grpc_web(&self) -> anyhow::Result<()> {
        let request = GetUserRequest { name: "users/ada-1815".into() };
        let path = "/selvedge.users.v1.UserService/GetUser";
        let answer = grpc_web::unary::<User>(&self.http, &self.gateway, path, &request, Encoding::Binary).await?;
        anyhow::ensure!(answer.status == 0, "grpc-web: {} {}", answer.status, answer.text);
        Ok(())
    }

    async fn create(&self, id: &str) -> anyhow::Result<()> {
        let mut client = UserServiceClient::new(self.channel.clone());
        client.create_user(late::creation(id)).await.map(drop).context("the first user")
    }

    /// A call that is not idempotent and lasts up to two seconds: its request message comes that late.
    async fn create_slowly(&self, worker: u64, round: u64) -> anyhow::Result<()> {
        let delay = Duration::from_millis((round * 7 + worker * 3) % 21 * 100);
        let id = format!("user-{worker}-{round}");
        let created = late::create(self.channel.clone(), &id, tokio::time::sleep(delay));
        created.await.with_context(|| format!("a creation of {delay:?}"))
    }
}
