//! How an instance comes and goes, as Consul and callers see it.

use std::sync::{Arc, Mutex};

use super::{fake_consul::Mood, *};
use crate::{
    consul::Consul,
    server::{
        Running, accept,
        register::{Advertised, Description, Lease, Standing},
    },
};

/// `/test.Echo/Wait`, which answers when told to.
fn waiting() -> (Methods, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let (go, told) = oneshot::channel();
    let (begun, begins) = oneshot::channel();
    let parts = Arc::new(Mutex::new(Some((told, begun))));
    let methods = echo().with("Wait", move |_| {
        let (told, begun): (oneshot::Receiver<()>, oneshot::Sender<()>) = parts.lock().unwrap().take().unwrap();
        async move {
            begun.send(()).unwrap();
            let _ = told.await;
            Ok(answer(Body::empty()))
        }
    });
    (methods, go, begins)
}

#[tokio::test]
async fn an_instance_registers_as_passing() {
    let served = Served::with(echo().routes(), &[notes::descriptors()], |_| {}).await;
    let told = served.consul.last_registration();
    let port = served.address.port();
    assert_eq!(told["ID"], format!("echo-127.0.0.1-{port}"));
    assert_eq!((&told["Name"], &told["Address"], &told["Port"]), (&"echo".into(), &"127.0.0.1".into(), &port.into()));
    assert_eq!((&told["Tags"][0], &told["Tags"][1]), (&"grpc".into(), &"gateway".into()));
    let schema = told["Tags"][2].as_str().unwrap().strip_prefix("schema-").unwrap();
    assert!(schema.len() == 12 && schema.bytes().all(|b| b.is_ascii_hexdigit()), "{schema}");
    assert_eq!(told["Meta"]["selvedge"], env!("CARGO_PKG_VERSION"));
    let checks = told["Checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["Status"] == "passing"), "{told}");
    assert_eq!(checks[1]["GRPC"], format!("127.0.0.1:{port}"));
    served.stop().await;
}

#[tokio::test]
async fn the_agent_gives_the_address_of_an_instance_that_listens_on_all() {
    let all = |config: &mut Config| config.server.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let served = Served::with(echo().routes(), &[], all).await;
    let told = served.consul.last_registration();
    assert_eq!(told["Address"], "");
    assert_eq!(told["Checks"][1]["GRPC"], format!("127.0.0.1:{}", served.address.port()));
    served.stop().await;
}

#[tokio::test]
async fn a_drain_hides_the_instance_serves_on_says_goaway_and_deregisters() {
    let (methods, go, begins) = waiting();
    let slow = |config: &mut Config| config.server.drain.propagation = Duration::from_secs(3);
    let served = Served::with(methods.routes(), &[], slow).await;
    let client = served.connect().await;
    let (waiting, mut out) = client.open(post("Wait")).await;
    send(&mut out, message(1), true).await;
    soon(begins).await.unwrap();

    served.stop.send(()).unwrap();
    served.consul.was_asked("maintenance", 1).await;
    assert_eq!(client.say(message(1)).await.code(), Code::Ok, "a caller that has not heard yet");
    let late = Client::connect(served.address).await;
    assert_eq!(late.say(message(1)).await.code(), Code::Ok, "a caller that came late");

    let refused = async { while TcpStream::connect(served.address).await.is_ok() {} };
    soon(refused).await;
    assert!(!served.consul.asked().contains(&"deregister".into()), "a call still runs");
    go.send(()).unwrap();
    assert_eq!(Answer::read(soon(waiting).await.unwrap()).await.code(), Code::Ok, "a call that runs is let end");
    soon(served.ended).await.unwrap().unwrap();
    let mut asked = served.consul.asked();
    asked.retain(|what| !["pass", "registered"].contains(&what.as_str()));
    assert_eq!(asked, ["register", "maintenance", "deregister"]);
}

#[tokio::test]
async fn calls_that_outlast_the_grace_are_cut_off() {
    let (methods, _go, begins) = waiting();
    let brief = |config: &mut Config| config.server.drain.grace = Duration::from_millis(50);
    let served = Served::with(methods.routes(), &[], brief).await;
    let client = served.connect().await;
    let (waiting, _out) = client.open(post("Wait")).await;
    soon(begins).await.unwrap();
    let consul = served.consul.clone();
    served.stop().await;
    assert!(soon(waiting).await.is_err());
    assert_eq!(consul.asked().last().unwrap(), "deregister");
}

#[tokio::test]
async fn who_is_in_a_hurry_waits_for_nothing() {
    let (methods, _go, begins) = waiting();
    let consul = FakeConsul::start().await;
    let mut config = consul.config();
    config.server.drain.propagation = Duration::from_secs(600);
    config.server.drain.grace = Duration::from_secs(600);
    let parts = Mesh::new(config).unwrap().serve(Routes::default()).parts;
    let listener = accept::listen(parts.config.listen).await.unwrap();
    let running = Running::start(&parts, methods.routes(), listener).await.unwrap();
    let client = Client::connect(running.local).await;
    let _call = client.open(post("Wait")).await;
    soon(begins).await.unwrap();
    consul.was_asked("register", 1).await;
    let hurry = tokio_util::sync::CancellationToken::new();
    hurry.cancel();
    soon(running.leaving.drain(&parts.config.drain, &hurry)).await;
    assert_eq!(consul.asked().last().unwrap(), "deregister");
}

#[tokio::test]
async fn a_connection_without_calls_does_not_hold_up_the_drain() {
    let served = Served::start(echo().routes()).await;
    // It neither answers pings nor closes.
    let mut peer = TcpStream::connect(served.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    tokio::io::AsyncReadExt::read_u8(&mut peer).await.unwrap();
    // PATIENCE is less than the grace.
    served.stop().await;
}

#[tokio::test]
async fn an_unreachable_consul_delays_neither_calls_nor_the_drain() {
    for mood in [Mood::Silent, Mood::Refusing] {
        let long = |config: &mut Config| config.server.drain.propagation = Duration::from_secs(600);
        let served = Served::with(echo().routes(), &[], long).await;
        served.consul.set(mood);
        assert_eq!(served.connect().await.say(message(1)).await.code(), Code::Ok);
        // Nobody can be told, so nobody is waited for.
        served.stop().await;
    }
}

#[tokio::test]
async fn an_instance_serves_before_consul_is_there() {
    let consul = FakeConsul::start().await;
    consul.set(Mood::Refusing);
    let mesh = Mesh::new(consul.config()).unwrap();
    let (ready, mut is_ready) = oneshot::channel();
    let serve = mesh.serve(echo().routes()).until(std::future::pending());
    let serve = tokio::spawn(serve.on_ready(|address| ready.send(address).unwrap()).into_future());
    consul.was_asked("registered", 2).await;
    let address = consul.last_looked_up();
    assert_eq!(Client::connect(address).await.say(message(1)).await.code(), Code::Ok);
    assert!(is_ready.try_recv().is_err(), "it is not registered");
    consul.set(Mood::Willing);
    assert_eq!(soon(is_ready).await.unwrap(), address);
    serve.abort();
}

#[tokio::test]
async fn without_consul_and_without_a_snapshot_an_instance_that_keeps_snapshots_ends_with_the_reason() {
    let (consul, folder) = (FakeConsul::start().await, tempfile::tempdir().unwrap());
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = consul.config();
    config.registry.address = nobody.to_string();
    config.discovery.snapshot = Some(folder.path().into());
    let serve = Mesh::new(config.clone()).unwrap().serve(echo().routes()).until(std::future::pending());
    let error = soon(serve.into_future()).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Registry);
    for part in ["cannot be reached", "no snapshot to start from", &folder.path().display().to_string()] {
        assert!(error.to_string().contains(part), "{error}");
    }

    let snapshot = crate::snapshot::Snapshot::open(folder.path(), &config.service, None).unwrap();
    snapshot.keep_instances("users", Vec::new());
    snapshot.write();
    let (sender, shutdown) = oneshot::channel::<()>();
    let serve = Mesh::new(config).unwrap().serve(echo().routes()).until(async { drop(shutdown.await) });
    let serving = tokio::spawn(serve.into_future());
    tokio::task::yield_now().await;
    sender.send(()).unwrap();
    soon(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_instance_that_calls_nobody_has_a_snapshot_too_once_it_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let keeps = |config: &mut Config| config.discovery.snapshot = Some(folder.path().into());
    let served = Served::with(echo().routes(), &[], keeps).await;
    assert!(crate::snapshot::Snapshot::open(folder.path(), "echo", None).unwrap().age().is_some());
    served.stop().await;
}

/// The lease of an instance that beats without pause.
fn lease(consul: &FakeConsul) -> (Lease, tokio::sync::watch::Receiver<Standing>, tokio_util::sync::CancellationToken) {
    let stop = tokio_util::sync::CancellationToken::new();
    let advertised = Advertised::new(Some("10.0.0.7:5000"), SocketAddr::from(([127, 0, 0, 1], 1))).unwrap();
    let description = Description::new("echo", &[], &[]);
    let agent = Consul::new(&consul.config().registry).unwrap();
    let (lease, standing) = Lease::new(agent, description, advertised, stop.clone());
    (lease.with_beat(Duration::from_millis(1)), standing, stop)
}

#[tokio::test]
async fn an_instance_that_the_agent_lost_registers_again_until_the_drain() {
    let consul = FakeConsul::start().await;
    let (lease, standing, stop) = lease(&consul);
    let lease = tokio::spawn(lease.run());
    consul.was_asked("pass", 2).await;
    assert_eq!(consul.asked()[..3], ["registered", "register", "pass"]);
    consul.set(Mood::Forgetful);
    consul.was_asked("register", 3).await;
    stop.cancel();
    soon(lease).await.unwrap();
    let Standing::Registered(claim) = &*standing.borrow() else { panic!("registered") };
    assert_eq!(&*claim.id, "echo-10.0.0.7-5000");
    let asked = consul.asked().len();
    // Whatever would still come would come in a round trip.
    reqwest::get(format!("{}/v1/agent/self", consul.config().registry.address)).await.unwrap();
    assert_eq!(consul.asked().len(), asked + 1);
}

#[tokio::test]
async fn a_failed_heartbeat_is_no_loss() {
    let consul = FakeConsul::start().await;
    let (lease, mut standing, stop) = lease(&consul);
    let lease = tokio::spawn(lease.run());
    soon(standing.wait_for(|standing| matches!(standing, Standing::Registered(_)))).await.unwrap();
    consul.set(Mood::Forbidding);
    let beats = consul.asked().len();
    consul.was_asked("pass", beats + 3).await;
    stop.cancel();
    soon(lease).await.unwrap();
    assert_eq!(consul.asked().iter().filter(|what| *what == "register").count(), 1);
}

#[tokio::test]
async fn of_two_live_instances_with_one_address_the_second_takes_no_id_for_good() {
    let logs = crate::consul::logs::Logs::capture();
    let consul = FakeConsul::start().await;
    let (first, standing, stop) = lease(&consul);
    let first = tokio::spawn(first.run());
    consul.was_asked("pass", 1).await;
    let (second, _, stop_second) = lease(&consul);
    let second = tokio::spawn(second.run());
    // As far as is known the first is gone; but it lives, and notices.
    consul.was_asked("register", 2).await;
    consul.set(Mood::Pruning);
    consul.was_asked("register", 3).await;
    consul.set(Mood::Willing);
    stop.cancel();
    stop_second.cancel();
    for lease in [first, second] {
        soon(lease).await.unwrap();
    }
    let Standing::Registered(claim) = standing.borrow().clone() else { panic!("registered") };
    assert_eq!(*claim.id, *format!("echo-10.0.0.7-5000-{}", claim.owner));
    let told = logs.lines("WARN").into_iter().find(|line| line.contains("another live instance")).unwrap();
    assert!(told.contains("10.0.0.7:5000"), "{told}");
}

#[tokio::test]
async fn a_drain_leaves_alone_what_another_process_registered_meanwhile() {
    let served = Served::start(echo().routes()).await;
    let mut other = served.consul.last_registration();
    other["Meta"]["selvedge-owner"] = "another".into();
    served.consul.register(other);
    let consul = served.consul.clone();
    served.stop().await;
    let asked = consul.asked();
    assert!(!asked.iter().any(|what| what == "maintenance" || what == "deregister"), "{asked:?}");
}
