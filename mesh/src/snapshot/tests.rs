use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::consul::logs::Logs;

fn record(port: u16) -> Record {
    Record { id: format!("users-{port}"), host: "127.0.0.1".into(), port, ..Record::default() }
}

fn open(folder: &TempDir) -> Snapshot {
    Snapshot::open(folder.path(), "orders", None).unwrap()
}

/// A folder with a snapshot of one instance, of `dc1`.
fn written() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let snapshot = open(&folder);
    snapshot.note_datacenter("dc1");
    assert!(snapshot.keep_instances("users", vec![record(1)]));
    snapshot.write();
    let path = snapshot.path().to_owned();
    (folder, path)
}

#[test]
fn what_was_kept_is_found_again() {
    let (folder, path) = written();
    let snapshot = open(&folder);
    assert_eq!(snapshot.instances("users"), Some(vec![record(1)]));
    assert_eq!((snapshot.instances("orders"), snapshot.services()), (None, None));
    assert!(snapshot.age().unwrap() < Duration::from_secs(60));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn the_same_again_is_not_written() {
    let folder = TempDir::new().unwrap();
    let snapshot = open(&folder);
    assert!(snapshot.age().is_none());
    assert!(snapshot.keep_instances("users", vec![]));
    assert!(!snapshot.keep_instances("users", vec![record(1)]), "somebody is about to write");
    snapshot.write();
    assert!(!snapshot.keep_instances("users", vec![record(1)]), "nothing new");
    assert!(snapshot.keep_services(&Names::from([("users".into(), vec![])])));
}

#[test]
fn a_file_that_cannot_be_used_is_set_aside_and_the_reason_is_told() {
    let good = encode(&Contents { datacenter: "dc1".into(), ..Contents::default() });
    let newer = String::from_utf8(good.clone()).unwrap().replace("snapshot 1 ", "snapshot 2 ").into_bytes();
    let mut corrupt = good.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    for (bytes, datacenter, reason) in [
        (good[..good.len() - 1].to_vec(), None, Unusable::Corrupt),
        (good[..5].to_vec(), None, Unusable::Foreign),
        (Vec::new(), None, Unusable::Foreign),
        (b"hello\n".to_vec(), None, Unusable::Foreign),
        (corrupt, None, Unusable::Corrupt),
        (newer, None, Unusable::Newer(2)),
        (good.clone(), Some("dc2"), Unusable::Elsewhere("dc1".into())),
    ] {
        assert_eq!(decode(&bytes, datacenter).unwrap_err(), reason);
        let (folder, path) = written();
        fs::write(&path, &bytes).unwrap();
        let snapshot = Snapshot::open(folder.path(), "orders", datacenter).unwrap();
        assert!(snapshot.age().is_none() && snapshot.instances("users").is_none(), "{reason}");
        assert_eq!(fs::read(path.with_extension("snapshot.bad")).unwrap(), bytes, "{reason}");
        assert!(!path.exists());
    }
    assert!(decode(&good, Some("dc1")).is_ok());
}

#[test]
fn a_snapshot_that_cannot_be_written_is_told_of_and_kept_for_the_next_write() {
    let (folder, path) = written();
    let (logs, snapshot) = (Logs::capture(), open(&folder));
    fs::remove_dir_all(folder.path()).unwrap();
    snapshot.keep_instances("users", vec![record(2)]);
    snapshot.write();
    assert_eq!(logs.lines("WARN").len(), 1, "{:?}", logs.lines("WARN"));
    fs::create_dir(folder.path()).unwrap();
    snapshot.write();
    assert!(path.exists());
    assert_eq!(open(&folder).instances("users"), Some(vec![record(2)]));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let (_folder, path) = written();
    let error = Snapshot::open(&path, "orders", None).unwrap_err().to_string();
    assert!(error.starts_with("discovery.snapshot: cannot make the folder"), "{error}");
}
