use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::*;
use crate::{
    config::RegistryConfig,
    consul::{fake::Fake, logs::Logs},
    snapshot::Record,
};

const USERS: &str = "/v1/health/service/users";
const ORDERS: &str = "/v1/health/service/orders";

fn resolver(fake: &Fake) -> ConsulResolver {
    ConsulResolver::new(Consul::new(&fake.config()).unwrap(), Duration::from_secs(10), Duration::ZERO)
}

/// An instance as Consul tells it, with one check.
fn entry(id: &str, port: u16, status: &str) -> Value {
    json!({
        "Node": {"Node": "n1", "Address": "10.0.0.1"},
        "Service": {"ID": id, "Service": "users", "Address": "127.0.0.1", "Port": port, "Tags": ["grpc"], "Meta": {"k": "v"}},
        "Checks": [{"CheckID": "c", "Status": status, "Output": "fine"}],
    })
}

fn parse(entries: &Value) -> Vec<Instance> {
    callable(&serde_json::from_value::<Vec<Entry>>(entries.clone()).unwrap())
}

fn ids(instances: &[Instance]) -> Vec<&str> {
    instances.iter().map(|instance| instance.id.as_str()).collect()
}

/// Waits for the news, and returns the ids that are known then.
async fn next(followed: &mut Receiver<Instances>) -> Vec<String> {
    timeout(Duration::from_secs(20), followed.changed()).await.expect("news in time").unwrap();
    known(followed)
}

fn known(followed: &mut Receiver<Instances>) -> Vec<String> {
    match &*followed.borrow_and_update() {
        Instances::Unknown => vec!["unknown".into()],
        Instances::Known(instances) => ids(instances).into_iter().map(str::to_owned).collect(),
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[test]
fn instances_that_may_not_be_called_are_left_out_and_the_rest_is_in_order() {
    let found = parse(&json!([
        entry("c", 3, "warning"),
        entry("a", 1, "passing"),
        entry("b", 2, "critical"),
        entry("d", 0, "passing"),
    ]));
    assert_eq!(ids(&found), ["a", "c"]);
    assert_eq!((found[0].host.as_str(), found[0].port), ("127.0.0.1", 1));
    assert_eq!(found[0].tags, ["grpc"]);
    assert_eq!(found[0].meta["k"], "v");
}

#[test]
fn the_order_and_the_output_of_checks_are_no_news() {
    let mut other = entry("a", 1, "passing");
    other["Checks"][0]["Output"] = "finer".into();
    other["Service"]["ModifyIndex"] = 99.into();
    let before = parse(&json!([entry("a", 1, "passing"), entry("b", 2, "passing")]));
    let after = parse(&json!([entry("b", 2, "passing"), other]));
    assert_eq!(before, after);
}

#[test]
fn one_id_in_two_agents_is_two_instances() {
    let mut other = entry("users", 1, "passing");
    other["Node"]["Node"] = "n2".into();
    let found = parse(&json!([entry("users", 1, "passing"), other]));
    assert_eq!(ids(&found), ["users@n1", "users@n2"]);
}

#[tokio::test]
async fn instances_come_and_go() {
    let fake = Fake::start();
    fake.set(USERS, 5, json!([]));
    let mut users = resolver(&fake).instances("users");
    assert_eq!(known(&mut users), ["unknown"]);
    assert_eq!(next(&mut users).await, Vec::<String>::new(), "none is an answer too");
    fake.set(USERS, 6, json!([entry("b", 2, "passing"), entry("a", 1, "passing")]));
    assert_eq!(next(&mut users).await, ["a", "b"]);
    fake.set(USERS, 7, json!([entry("b", 2, "critical"), entry("a", 1, "passing")]));
    assert_eq!(next(&mut users).await, ["a"]);
}

#[tokio::test]
async fn a_new_index_with_the_same_instances_wakes_nobody() {
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing")]));
    let mut users = resolver(&fake).instances("users");
    next(&mut users).await;
    fake.set(USERS, 6, json!([entry("a", 1, "warning")]));
    fake.asked_at_least(3).await;
    assert!(!users.has_changed().unwrap());
    fake.set(USERS, 7, json!([]));
    assert_eq!(next(&mut users).await, Vec::<String>::new());
}

#[tokio::test]
async fn all_who_follow_a_name_share_one_watch_that_ends_with_the_last() {
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing")]));
    let resolver = resolver(&fake);
    let mut first = resolver.instances("users");
    next(&mut first).await;
    let mut second = resolver.instances("users");
    assert_eq!(known(&mut second), ["a"], "known at once");
    assert_eq!(resolver.tasks.len(), 1);
    fake.asked_at_least(2).await;

    drop(first);
    fake.set(USERS, 6, json!([]));
    assert_eq!(next(&mut second).await, Vec::<String>::new(), "the watch goes on for those who are left");
    drop(second);
    until("the watch ended", || resolver.tasks.is_empty()).await;

    let mut again = resolver.instances("users");
    assert_eq!(next(&mut again).await, Vec::<String>::new(), "a new watch");
}

#[tokio::test]
async fn services_are_followed_with_their_tags() {
    let fake = Fake::start();
    fake.set("/v1/catalog/services", 5, json!({"users": ["grpc", "a"], "consul": null}));
    let mut services = resolver(&fake).services();
    timeout(Duration::from_secs(20), services.wait_for(Option::is_some)).await.unwrap().unwrap();
    let known = services.borrow_and_update().clone().unwrap();
    assert_eq!(known["users"], ["a", "grpc"]);
    assert!(known["consul"].is_empty());
    fake.set("/v1/catalog/services", 6, json!({}));
    timeout(Duration::from_secs(20), services.changed()).await.unwrap().unwrap();
    assert!(services.borrow_and_update().clone().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_known_outlives_consul_and_its_absence_is_told_once() {
    let logs = Logs::capture();
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing")]));
    fake.set(ORDERS, 5, json!([entry("b", 2, "passing")]));
    let resolver = resolver(&fake);
    let (mut users, mut orders) = (resolver.instances("users"), resolver.instances("orders"));
    assert_eq!((next(&mut users).await, next(&mut orders).await), (vec!["a".into()], vec!["b".into()]));
    fake.asked_at_least(4).await;

    let url = fake.url.clone();
    let address = fake.stop().await;
    until("its absence is told", || !logs.lines("WARN").is_empty()).await;
    assert_eq!((known(&mut users), known(&mut orders)), (vec!["a".into()], vec!["b".into()]));

    // Another state, and lower indexes, as after a restart without data.
    let fake = Fake::start_at(&address);
    fake.set(USERS, 2, json!([entry("c", 3, "passing")]));
    fake.set(ORDERS, 2, json!([entry("d", 4, "passing")]));
    assert_eq!((next(&mut users).await, next(&mut orders).await), (vec!["c".into()], vec!["d".into()]));
    until("its return is told", || !logs.lines("INFO").is_empty()).await;
    let (gone, back) = (logs.lines("WARN"), logs.lines("INFO"));
    assert_eq!((gone.len(), back.len()), (1, 1), "{gone:?} {back:?}");
    assert!(gone[0].contains(&url) && back[0].contains(&url), "{gone:?} {back:?}");
}

#[tokio::test]
async fn an_agent_that_restarted_empty_empties_no_cluster_and_maintenance_still_counts() {
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing"), entry("b", 2, "passing")]));
    let consul = Consul::new(&fake.config()).unwrap();
    let resolver = ConsulResolver::new(consul, Duration::from_secs(10), Duration::from_secs(30));
    let mut users = resolver.instances("users");
    next(&mut users).await;
    let address = fake.stop().await;
    let fake = Fake::start_at(&address);
    fake.set(USERS, 2, json!([]));
    assert_eq!(next(&mut users).await, ["a", "b"]);
    let Instances::Known(list) = users.borrow().clone() else { panic!("known") };
    assert!(list.iter().all(|one| one.last_resort));
    let mut leaving = entry("a", 1, "critical");
    leaving["Checks"][0]["CheckID"] = "_service_maintenance:a".into();
    fake.set(USERS, 3, json!([leaving]));
    assert_eq!(next(&mut users).await, ["b"]);
}

#[tokio::test]
async fn instances_in_maintenance_are_gone_at_once_however_many() {
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing")]));
    let consul = Consul::new(&fake.config()).unwrap();
    let resolver = ConsulResolver::new(consul, Duration::from_secs(10), Duration::from_secs(30));
    let mut users = resolver.instances("users");
    next(&mut users).await;
    let mut leaving = entry("a", 1, "critical");
    leaving["Checks"][0]["CheckID"] = "_node_maintenance".into();
    fake.set(USERS, 6, json!([leaving]));
    assert_eq!(next(&mut users).await, Vec::<String>::new());
    fake.set(USERS, 7, json!([]));
    fake.asked_at_least(4).await;
    assert_eq!(known(&mut users), Vec::<String>::new(), "it was known to leave");
}

/// A resolver that keeps what it finds in a folder.
fn keeping(fake: &Fake, folder: &std::path::Path) -> ConsulResolver {
    let snapshot = Snapshot::open(folder, "orders", None).unwrap();
    resolver(fake).with_snapshot(Some(Arc::new(snapshot)))
}

#[tokio::test]
async fn a_process_begins_with_its_snapshot_while_consul_is_down_and_converges_when_it_is_back() {
    let (logs, folder) = (Logs::capture(), tempfile::tempdir().unwrap());
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing")]));
    fake.set("/v1/catalog/services", 5, json!({"users": ["grpc"]}));
    let before = keeping(&fake, folder.path());
    let (mut users, mut services) = (before.instances("users"), before.services());
    next(&mut users).await;
    services.wait_for(Option::is_some).await.unwrap();
    let written = || Snapshot::open(folder.path(), "orders", None).unwrap();
    until("it is written", || written().instances("users").is_some() && written().services().is_some()).await;
    drop((before, users, services));

    let address = fake.stop().await;
    let gone = RegistryConfig { address: address.clone(), ..RegistryConfig::default() };
    let after = ConsulResolver::new(Consul::new(&gone).unwrap(), Duration::from_secs(10), Duration::ZERO);
    let after = after.with_snapshot(Some(Arc::new(written())));
    let (mut users, mut services, mut orders) = (after.instances("users"), after.services(), after.instances("orders"));
    assert_eq!(next(&mut users).await, ["a"]);
    timeout(Duration::from_secs(20), services.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(known(&mut orders), ["unknown"], "of these nothing was known");
    let from_disk = |line: &String| line.contains("starting from what was known");
    assert_eq!(logs.lines("WARN").iter().filter(|line| from_disk(line)).count(), 1, "{:?}", logs.lines("WARN"));

    let fake = Fake::start_at(&address);
    fake.set(USERS, 3, json!([entry("b", 2, "passing")]));
    assert_eq!(next(&mut users).await, ["b"]);
}

#[tokio::test]
async fn a_snapshot_is_not_looked_at_while_consul_answers() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::open(folder.path(), "orders", None).unwrap();
    snapshot.keep_instances("users", vec![Record { id: "old".into(), ..Record::default() }]);
    snapshot.write();
    let fake = Fake::start();
    fake.set(USERS, 5, json!([entry("a", 1, "passing")]));
    let mut users = keeping(&fake, folder.path()).instances("users");
    assert_eq!(next(&mut users).await, ["a"]);
}

#[tokio::test]
async fn instances_of_peers_partitions_and_namespaces_are_left_out_and_told_of_once() {
    let (fake, logs) = (Fake::start(), Logs::capture());
    let other = |key: &str, id: &str| {
        let mut other = entry(id, 2, "passing");
        other["Service"][key] = "east".into();
        other
    };
    fake.set(USERS, 5, json!([entry("a", 1, "passing"), other("PeerName", "b"), other("Namespace", "c")]));
    fake.set(ORDERS, 5, json!([other("Partition", "d")]));
    let resolver = resolver(&fake);
    let (mut users, mut orders) = (resolver.instances("users"), resolver.instances("orders"));
    assert_eq!(next(&mut users).await, ["a"]);
    assert_eq!(next(&mut orders).await, Vec::<String>::new());
    let warnings = logs.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for part in ["east", "not supported", "left out"] {
        assert!(warnings[0].contains(part), "{part}: {warnings:?}");
    }
}

/// Connections of this machine to a port.
fn connections(url: &str) -> usize {
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let (remote, established) = (format!("0100007F:{port:04X}"), "01");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next() == Some(&remote) && fields.next() == Some(established)
    };
    table.lines().filter(to).count()
}

#[tokio::test]
async fn two_hundred_upstreams_share_sixteen_connections_and_every_change_is_seen() {
    const LIMIT: Duration = Duration::from_secs(60);
    let fake = Fake::start();
    let names: Vec<_> = (0..200).map(|number| format!("s{number}")).collect();
    let path = |name: &String| format!("/v1/health/service/{name}");
    for name in &names {
        fake.set(&path(name), 5, json!([]));
    }
    let resolver = resolver(&fake);
    let mut followed: Vec<_> = names.iter().map(|name| resolver.instances(name)).collect();
    resolver.usage("s0").note();
    let changed = async {
        for one in &mut followed {
            one.changed().await.unwrap();
            one.borrow_and_update();
        }
        for (name, port) in names.iter().zip(1..) {
            fake.set(&path(name), 6, json!([entry("a", port, "passing")]));
        }
        for (one, port) in followed.iter_mut().zip(1..) {
            one.changed().await.unwrap();
            let Instances::Known(list) = one.borrow_and_update().clone() else { panic!("known") };
            assert_eq!(list[0].port, port);
        }
    };
    let mut most = 0;
    let counted = async {
        loop {
            most = most.max(connections(&fake.url));
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = counted => {}
        done = timeout(LIMIT, changed) => done.expect("every change in time"),
    }
    assert!((2..=16).contains(&most), "{most} connections");
}
