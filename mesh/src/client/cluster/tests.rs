use std::time::Duration;

use opentelemetry::{Array, Value, trace::SpanKind};
use tokio::{sync::watch, time::advance};
use tonic::Code;

use super::*;
use crate::{
    client::tests::mock,
    discovery::{Instance, Instances, Services},
    policy::cluster::ClusterPolicy,
    telemetry::{Telemetry, recorded::Recorded},
};

/// Discovery that knows nothing: the tests say which instances there are.
#[derive(Debug)]
struct Nothing;

impl Resolve for Nothing {
    fn instances(&self, _: &str) -> watch::Receiver<Instances> {
        watch::channel(Instances::Unknown).1
    }

    fn services(&self) -> watch::Receiver<Services> {
        watch::channel(None).1
    }

    fn describe(&self) -> String {
        "nothing".into()
    }
}

/// An instance that nobody can connect to: its port is none of TCP's.
fn instance(id: &str) -> Instance {
    Instance::at(id, "127.0.0.1", 0)
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_endpoints_begins_anew_when_one_joins() {
    let (wait, telemetry) = (Duration::from_secs(2), Telemetry::new().unwrap());
    let config = ClientConfig { endpoint_wait: wait, ..ClientConfig::default() };
    let settings = (config, ClusterPolicy::default().into(), Own::default());
    let cluster = Cluster::new("users".into(), settings, Arc::new(Nothing), telemetry.metrics().clone());
    let shared = Arc::clone(&cluster.shared);
    let mut members = Members::new(Arc::clone(&shared));
    assert_eq!(shared.patience(false), None, "the registry has not answered");

    let mut serial = 0;
    let (a, b, c) = (instance("a"), instance("b"), instance("c"));
    for (instances, anew) in [
        (vec![], true),
        (vec![], false),
        (vec![a.clone()], true),
        (vec![a.clone()], false),
        (vec![a.clone(), b.clone()], true),
        (vec![b.clone()], false),
        (vec![c], true),
        (vec![], false),
        (vec![b], true),
    ] {
        advance(Duration::from_secs(60)).await;
        members.rebuild(&instances, &mut serial);
        let ends = shared.patience(false).unwrap();
        assert_eq!(ends > Instant::now(), anew, "{instances:?}");
        assert_eq!(shared.patience(true), None, "who waits for ready waits on");
    }
}

#[tokio::test(start_paused = true)]
async fn the_span_of_an_attempt_tells_what_its_pick_saw_of_the_first() {
    let (recorded, telemetry) = (Recorded::default(), Telemetry::new().unwrap());
    let settings = (ClientConfig::default(), ClusterPolicy::default().into(), Own::default());
    let cluster = Cluster::new("users".into(), settings, Arc::new(Nothing), telemetry.metrics().clone());
    let mut members = Members::new(Arc::clone(&cluster.shared));
    let instances: Vec<_> = (10..30).map(|number| instance(&format!("users-{number}"))).collect();
    members.rebuild(&instances, &mut 0);
    let span = recorded.tracer(1.0).begin(SpanKind::Client, None, || "an attempt");
    let call = Call { span: span.clone(), ..mock::call(false, None) };
    cluster.trace(&call);
    span.ended(Code::Ok);
    let attribute = |key: &str| {
        let spans = recorded.spans();
        let found = spans[0].attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.clone());
        found.unwrap_or_else(|| panic!("{key} of {spans:?}"))
    };
    assert_eq!(attribute("selvedge.balance"), "PeakEwma".into());
    let Value::Array(Array::String(candidates)) = attribute("selvedge.candidates") else { panic!("no lines") };
    assert_eq!(candidates.len(), 16);
    let first = candidates[0].as_str();
    assert!(first.starts_with("users-10 at 127.0.0.1:0: unconnected, cost "), "{first}");
}
