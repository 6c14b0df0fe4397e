//! The server that is made slow, or to fail, on command: one process each.

use std::{
    future::IntoFuture as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use selvedge::{Config, Mesh};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    sync::Semaphore,
    time::sleep,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, service::Routes};

use crate::echo::{
    DESCRIPTORS,
    pb::{
        EchoManyRequest, EchoRequest, EchoResponse,
        echo_service_server::{EchoService, EchoServiceServer},
    },
};

/// What it is registered as.
pub(crate) const SERVICE: &str = "echo-chaos";

/// How long it works on one call, on so many at once.
const WORK: Duration = Duration::from_millis(10);
const AT_ONCE: usize = 4;
/// By how much a slow one is slower.
const SLOWER: u32 = 20;

/// How a server conducts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// It answers.
    Good,
    /// It answers 20 times slower.
    Slow,
    /// It refuses every call at once, with UNAVAILABLE.
    Failing,
}

impl Conduct {
    /// Returns the word for it in a command.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Slow => "slow",
            Self::Failing => "failing",
        }
    }
}

/// Returns how many calls a second one server can answer.
pub(crate) fn capacity() -> f64 {
    AT_ONCE as f64 / WORK.as_secs_f64()
}

/// Serves until standard input ends; prints its address, and the number of calls so far when it is told `count`.
pub(crate) async fn run(registry: &str) -> anyhow::Result<()> {
    let mut config = Config::new(SERVICE);
    config.registry.address = registry.into();
    let mesh = Mesh::builder(config).descriptors(DESCRIPTORS).build()?;
    let subject = Subject(Arc::new(State {
        conduct: AtomicU8::new(Conduct::Good as u8),
        calls: AtomicU64::new(0),
        places: Semaphore::new(AT_ONCE),
    }));
    let routes = Routes::new(EchoServiceServer::new(subject.clone()));
    let serving = mesh.serve(routes).on_ready(|address| println!("{address}"));
    tokio::select! {
        ended = serving.into_future() => Ok(ended?),
        obeyed = subject.obey() => obeyed,
    }
}

#[derive(Clone, Debug)]
struct Subject(Arc<State>);

#[derive(Debug)]
struct State {
    conduct: AtomicU8,
    calls: AtomicU64,
    places: Semaphore,
}

impl Subject {
    async fn obey(&self) -> anyhow::Result<()> {
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        while let Some(command) = commands.next_line().await? {
            if command == "count" {
                println!("{}", self.0.calls.load(Ordering::Relaxed));
                continue;
            }
            let all = [Conduct::Good, Conduct::Slow, Conduct::Failing];
            let conduct = all.into_iter().find(|conduct| conduct.word() == command).context("an unknown command")?;
            self.0.conduct.store(conduct as u8, Ordering::Relaxed);
            println!("{command}");
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl EchoService for Subject {
    type EchoManyStream = Pin<Box<dyn Stream<Item = Result<EchoResponse, Status>> + Send>>;

    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        let conduct = self.0.conduct.load(Ordering::Relaxed);
        if conduct == Conduct::Failing as u8 {
            return Err(Status::unavailable("told to fail"));
        }
        let _place = self.0.places.acquire().await.map_err(|_| Status::internal("the semaphore is closed"))?;
        sleep(if conduct == Conduct::Slow as u8 { WORK * SLOWER } else { WORK }).await;
        Ok(Response::new(EchoResponse { payload: request.into_inner().payload }))
    }

    async fn echo_many(&self, _: Request<EchoManyRequest>) -> Result<Response<Self::EchoManyStream>, Status> {
        Err(Status::unimplemented("nothing here streams"))
    }
}
