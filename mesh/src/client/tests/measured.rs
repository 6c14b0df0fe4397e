//! What is exported is what `mesh/docs/telemetry.md` tells of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use opentelemetry::KeyValue;
use tonic::Code;

use super::support::{Stub, echo, eventually, world};
use crate::telemetry::{AttemptLabels, Bytes, Retries, ServerLabels};

/// Labels by the name in Prometheus.
type Families = BTreeMap<String, BTreeSet<String>>;

/// Labels that the format has of its own.
const OF_THE_FORMAT: [&str; 5] = ["le", "quantile", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url"];

#[tokio::test]
async fn the_metrics_are_those_that_are_documented() {
    let stub = Stub::start(echo).await;
    let world = world(Some(&[stub.address]), |_| ());
    world.call().await.unwrap();
    let metrics = world.telemetry.metrics();
    let (target, labels) = (KeyValue::new("grpc.target", "users"), AttemptLabels::new("a.B/C", "users"));
    let served = ServerLabels::new("a.B/C");
    // What one good call does not show.
    let _connected = metrics.server_connection();
    metrics.server_started(&served);
    metrics.server_ended(&served, Code::Ok, Duration::ZERO, Bytes::default());
    metrics.retried(&labels, Retries { repeated: 1, transparent: 1, waited: Duration::ZERO });
    metrics.hedged(&labels, 1);
    metrics.mirrored("users-next", "answered");
    metrics.retry_refused(&labels);
    metrics.policy_refused("users");
    metrics.ejection(&target, "success_rate", true);
    metrics.ejection(&target, "success_rate", false);
    metrics.breaker_opened(&target);
    let exported = || exported(&world.telemetry.prometheus_text().unwrap());
    // The call is measured when its last handle goes.
    eventually("the call is measured", || exported().contains_key("grpc_client_call_duration_seconds")).await;
    assert_eq!(exported(), documented());
}

fn exported(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        if name != "target_info" {
            families.insert(name.to_owned(), BTreeSet::new());
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let of = |suffix: &str| families.contains_key(name.strip_suffix(suffix).unwrap_or_default());
        let suffix = ["_bucket", "_sum", "_count"].into_iter().find(|suffix| of(suffix)).unwrap_or_default();
        let Some(labels) = families.get_mut(name.strip_suffix(suffix).unwrap()) else { continue };
        let names = rest.split(',').filter_map(|label| label.split_once("=\"")).map(|(label, _)| label.to_owned());
        labels.extend(names.filter(|label| !OF_THE_FORMAT.contains(&&**label)));
    }
    families
}

fn documented() -> Families {
    let text = include_str!("../../../docs/telemetry.md");
    let (_, table) = text.split_once("| metric | in Prometheus | labels |").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut families = Families::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (name, in_prometheus) = (cells[1].trim_matches('`'), cells[2].trim_matches('`'));
        assert!(in_prometheus.starts_with(&name.replace('.', "_")), "{row}");
        // What stands in parentheses are values.
        let labels = cells[3].split('(').next().unwrap().split('`').filter(|part| part.contains('.'));
        let labels = labels.map(|label| label.replace('.', "_")).collect();
        assert!(families.insert(in_prometheus.to_owned(), labels).is_none(), "twice: {row}");
    }
    families
}
