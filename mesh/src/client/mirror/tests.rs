use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::Notify;
use tonic::Status;

use super::*;
use crate::{
    client::{
        call::Deadline,
        tests::mock::{self, Mock},
    },
    policy::{cluster::ClusterPolicy, mirror::MirrorPolicy},
    telemetry::Telemetry,
};

/// A service that gets copies; it answers when the gate opens.
#[derive(Debug, Default)]
struct Other {
    requests: Mutex<Vec<(String, http::request::Parts)>>,
    bodies: Arc<Mutex<Vec<Result<Bytes, Code>>>>,
    gate: Option<Arc<Notify>>,
}

impl Elsewhere for Other {
    fn call(&self, service: &str, request: http::Request<Body>) -> Option<BoxFuture<'static, http::Response<Body>>> {
        let (parts, body) = request.into_parts();
        self.requests.lock().unwrap().push((service.to_owned(), parts));
        let (bodies, gate) = (Arc::clone(&self.bodies), self.gate.clone());
        let answer = async move {
            let read = body.collect().await.map(|read| read.to_bytes()).map_err(|status| status.code());
            bodies.lock().unwrap().push(read);
            if let Some(gate) = gate {
                gate.notified().await;
            }
            Status::ok("").into_http()
        };
        Some(answer.boxed())
    }
}

fn mirrored(other: &Arc<Other>, telemetry: &Telemetry, change: impl FnOnce(&mut MirrorPolicy)) -> Copied<Mock> {
    let mut mirror = MirrorPolicy { service: "users-next".into(), ..MirrorPolicy::default() };
    change(&mut mirror);
    let policy = ClusterPolicy { mirror: Some(mirror), ..ClusterPolicy::default() };
    let mock = Mock::new(|call, _| {
        async move {
            call.body.collect().await.unwrap();
            mock::ok()
        }
        .boxed()
    });
    MirrorLayer::new(policy.into(), Arc::clone(other) as _, telemetry.metrics().clone()).layer(mock)
}

fn call(size: usize) -> Call {
    let after = Duration::from_secs(5);
    let mut call = mock::call(false, Some(Deadline { at: Instant::now() + after, after }));
    call.headers.insert("x-user", "ada".parse().unwrap());
    call.body = Body::new(Full::new(Bytes::from(vec![7; size])));
    call
}

/// Waits until the copies' task has nothing to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn counted(telemetry: &Telemetry, result: &str) -> u64 {
    let text = telemetry.prometheus_text().unwrap();
    let found = text.lines().find(|line| line.starts_with("selvedge_mirror_calls_total") && line.contains(result));
    found.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_copy_has_method_headers_deadline_and_message_of_its_call_and_is_marked() {
    let (other, telemetry) = (Arc::<Other>::default(), Telemetry::new().unwrap());
    let stop = mirrored(&other, &telemetry, |_| {});
    stop.call(call(1_000)).await.unwrap();
    settle().await;
    let requests = other.requests.lock().unwrap();
    let [(service, parts)] = &requests[..] else { panic!("one copy") };
    assert_eq!((service.as_str(), parts.uri.path()), ("users-next", "/test.Echo/Run"));
    assert_eq!(parts.headers["x-user"], "ada");
    assert!(grpc_timeout::parse(&parts.headers[GRPC_TIMEOUT]).unwrap() <= Duration::from_secs(5));
    assert!(parts.extensions.get::<Mirrored>().is_some());
    assert_eq!(other.bodies.lock().unwrap()[0].as_ref().unwrap().len(), 1_000);
    assert_eq!(counted(&telemetry, "answered"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_for_its_copy_and_no_more_copies_are_under_way_than_allowed() {
    let gate = Arc::new(Notify::new());
    let other = Arc::new(Other { gate: Some(Arc::clone(&gate)), ..Other::default() });
    let telemetry = Telemetry::new().unwrap();
    let stop = mirrored(&other, &telemetry, |mirror| mirror.max_in_flight = 2);
    let begun = Instant::now();
    for _ in 0..5 {
        assert!(stop.call(call(10)).now_or_never().is_some(), "it is answered though no copy is");
    }
    assert!(begun.elapsed().is_zero());
    settle().await;
    assert_eq!((other.bodies.lock().unwrap().len(), counted(&telemetry, "dropped")), (2, 3));
    gate.notify_one();
    settle().await;
    stop.call(call(10)).await.unwrap();
    settle().await;
    assert_eq!(other.bodies.lock().unwrap().len(), 3, "one ended and made room");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(counted(&telemetry, "failed"), 2, "no copy outlives the deadline of its call");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_has_no_whole_copy() {
    let (other, telemetry) = (Arc::<Other>::default(), Telemetry::new().unwrap());
    let stop = mirrored(&other, &telemetry, |mirror| mirror.max_bytes = 100);
    for size in [100, 101] {
        stop.call(call(size)).await.unwrap();
        settle().await;
    }
    let bodies = other.bodies.lock().unwrap();
    assert_eq!(bodies[0].as_ref().unwrap().len(), 100);
    assert_eq!(bodies[1], Err(Code::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn only_a_share_is_copied_and_no_copy_is() {
    let (other, telemetry) = (Arc::<Other>::default(), Telemetry::new().unwrap());
    let stop = mirrored(&other, &telemetry, |mirror| mirror.percent = 25.0);
    for _ in 0..400 {
        stop.call(call(0)).await.unwrap();
        settle().await;
    }
    // Within the 99.9 % bound of the binomial distribution.
    let copies = other.requests.lock().unwrap().len();
    assert!((71..=129).contains(&copies), "{copies} of 400");
    let all = mirrored(&other, &telemetry, |_| {});
    let mut copy = call(0);
    Arc::make_mut(&mut copy.route).mirrored = true;
    all.call(copy).await.unwrap();
    assert_eq!(other.requests.lock().unwrap().len(), copies);
}
