//! When serving ended, nothing of it runs on.

use tokio::runtime::{Builder, Runtime};

use super::*;

/// Serves in a runtime of its own, whose tasks can be counted; `end` says how it is left.
fn left_behind(end: impl AsyncFnOnce(Served) + Send + 'static) {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let agents = Runtime::new().unwrap();
    runtime.block_on(async {
        // The fake of Consul, and what the client of a test leaves behind, live in the other runtime.
        let consul = agents.spawn(FakeConsul::start()).await.unwrap();
        let mut config = consul.config();
        config.server.drain.grace = Duration::from_millis(50);
        let mesh = Mesh::new(config).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let hang = echo().with("Hang", |_| std::future::pending());
        let serve = mesh.serve(hang.routes()).until(async { drop(stopped.await) });
        let ended = tokio::spawn(serve.on_ready(|address| ready.send(address).unwrap()).into_future());
        let address = soon(is_ready).await.unwrap();
        let calls = agents.spawn(async move {
            let client = Client::connect(address).await;
            assert_eq!(client.say(message(1)).await.code(), Code::Ok);
            let hanging = client.open(post("Hang")).await;
            (client, hanging)
        });
        let calls = calls.await.unwrap();
        soon(end(Served { address, consul, mesh, stop, ended })).await;
        let tasks = tokio::runtime::Handle::current().metrics();
        soon(async {
            while tasks.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        drop(calls);
    });
    agents.shutdown_background();
}

#[test]
fn after_a_drain_nothing_runs_on() {
    left_behind(async |served| served.stop().await);
}

#[test]
fn after_serve_was_dropped_nothing_runs_on() {
    left_behind(async |served| {
        served.ended.abort();
        assert!(served.ended.await.unwrap_err().is_cancelled());
    });
}
