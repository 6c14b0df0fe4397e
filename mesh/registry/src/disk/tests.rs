use std::{collections::BTreeMap, net::Ipv4Addr};

use tempfile::TempDir;

use super::*;
use crate::{definition::service_registration, record::Status, state::Put};

fn node(datacenter: &str) -> Node {
    Node::own("n".to_owned(), datacenter.to_owned(), Ipv4Addr::LOCALHOST.into(), BTreeMap::new())
}

fn state() -> State {
    let mut state = State::new(node("dc1"), 10);
    let registration = r#"{"ID":"a1","Name":"a","Tags":["x"],"Address":"10.0.0.7","Meta":{"k":"v"},"Locality":{"Region":"r"},
        "Checks":[{"CheckID":"lease","TTL":"10s","Status":"passing"},
        {"CheckID":"probe","GRPC":"h:1/a.B","Interval":"5s","DeregisterCriticalServiceAfter":"1m"}]}"#;
    state.register(service_registration(registration.as_bytes()).unwrap(), false, Instant::now());
    state.maintain("a1", Some("drain"), Instant::now());
    assert_eq!(state.change_pairs(|pairs, index| pairs.put("k", (vec![0, 255], 7), None, index)), Put::Changed);
    state
}

fn save(folder: &Folder, state: &State) {
    folder.save(&serde_json::to_vec(&Saved::of(state)).unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_but_the_times_survives() {
    let path = TempDir::new().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    assert!(folder.load(&node("dc1")).unwrap().is_none());
    let before = state();
    save(&folder, &before);
    let after = folder.load(&node("dc1")).unwrap().unwrap();
    assert_eq!(format!("{:?}", before.services), format!("{:?}", after.services));
    assert_eq!(format!("{:?}", before.checks), format!("{:?}", after.checks));
    assert_eq!(format!("{:?}", before.pairs), format!("{:?}", after.pairs));
    assert_eq!(format!("{:?}", before.indexes), format!("{:?}", after.indexes));
    assert_eq!(before.node.id, after.node.id);
    assert_eq!(after.checks.get("lease").unwrap().local.status, Status::Passing);
}

#[test]
fn a_file_half_written_is_not_seen() {
    let path = TempDir::new().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    save(&folder, &state());
    fs::write(path.path().join(NEW_FILE), b"{\"version\":1,").unwrap();
    assert_eq!(folder.load(&node("dc1")).unwrap().unwrap().services.len(), 1);
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let path = TempDir::new().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    let refused = |datacenter| folder.load(&node(datacenter)).unwrap_err().to_string();
    save(&folder, &state());
    assert!(refused("dc2").contains("of datacenter \"dc1\""), "{}", refused("dc2"));
    for (text, reason) in [("{\"version\":1", "not a state"), ("{\"version\":99}", "version 99"), ("[]", "not a state")]
    {
        fs::write(path.path().join(FILE), text).unwrap();
        let error = refused("dc1");
        assert!(error.contains(reason) && error.contains(FILE), "{text}: {error}");
    }
}

#[test]
fn a_folder_is_of_one_registry_only() {
    let path = TempDir::new().unwrap();
    let first = Folder::open(path.path()).unwrap();
    let second = Folder::open(path.path()).unwrap_err().to_string();
    assert!(second.contains("another registry uses it"), "{second}");
    drop(first);
    assert!(Folder::open(path.path()).is_ok());
}

#[test]
fn only_the_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let path = TempDir::new().unwrap();
    save(&Folder::open(path.path()).unwrap(), &state());
    assert_eq!(fs::metadata(path.path().join(FILE)).unwrap().permissions().mode() & 0o777, MODE);
}
