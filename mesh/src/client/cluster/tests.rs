use std::time::Duration;

use tokio::{sync::watch, time::advance};

use super::*;
use crate::{
    discovery::{Instance, Instances, Services},
    policy::cluster::ClusterPolicy,
    telemetry::Telemetry,
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
