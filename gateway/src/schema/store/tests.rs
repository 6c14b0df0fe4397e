//! What is kept is found again; what was damaged is set aside.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn kept(service: &str, digests: &[Option<&str>]) -> Kept {
    let files = Files {
        files: [("a.proto".to_owned(), Bytes::from_static(b"\n\x07a.proto"))].into(),
        services: vec!["a.v1.A".into()],
    };
    let versions = digests.iter().map(|digest| (digest.map(str::to_owned), files.clone()));
    Kept { service: service.to_owned(), versions: versions.collect() }
}

fn open(folder: &TempDir) -> Store {
    Store::new(folder.path(), "gateway")
}

/// A folder with the schemas of two services.
fn written() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store.write(vec![kept("shop", &[Some("bb"), Some("aa")]), kept("area", &[None])]);
    let path = store.path.clone();
    (folder, path)
}

#[test]
fn what_was_kept_is_found_again_in_its_order() {
    let (folder, path) = written();
    assert_eq!(open(&folder).read(), [kept("shop", &[Some("bb"), Some("aa")]), kept("area", &[None])]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn nothing_kept_is_nothing_wrong() {
    let folder = TempDir::new().unwrap();
    assert_eq!(open(&folder).read(), []);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_same_again_is_not_written() {
    let (folder, path) = written();
    let mut store = open(&folder);
    let read = store.read();
    fs::remove_file(&path).unwrap();
    store.write(read);
    assert!(!path.exists());
    store.write(vec![]);
    assert!(path.exists());
}

#[test]
fn a_file_that_cannot_be_used_is_set_aside_and_the_reason_is_told() {
    let good = encode(&[kept("shop", &[None])]);
    let newer = [b"selvedge-schemas 2 ", &good[19..]].concat();
    let mut corrupt = good.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    let foreign_body = [head(b"\x0a\xff").as_bytes(), b"\x0a\xff"].concat();
    for (bytes, most, reason) in [
        (good[..good.len() - 1].to_vec(), MOST, Unusable::Corrupt),
        (good[..5].to_vec(), MOST, Unusable::Foreign),
        (Vec::new(), MOST, Unusable::Foreign),
        (b"hello\n".to_vec(), MOST, Unusable::Foreign),
        (corrupt, MOST, Unusable::Corrupt),
        (foreign_body, MOST, Unusable::Corrupt),
        (newer, MOST, Unusable::Newer(2)),
        (good.clone(), 100, Unusable::Large(100)),
    ] {
        assert_eq!(decode(&bytes, most).unwrap_err(), reason);
        let (folder, path) = written();
        fs::write(&path, &bytes).unwrap();
        let mut store = Store { most, ..open(&folder) };
        assert_eq!(store.read(), [], "{reason}");
        assert_eq!(fs::read(path.with_extension("schemas.bad")).unwrap().len(), bytes.len(), "{reason}");
        assert!(!path.exists());
        // What comes after it is kept as ever.
        let mut store = open(&folder);
        store.write(vec![kept("area", &[None])]);
        assert_eq!(open(&folder).read(), [kept("area", &[None])]);
    }
}

#[test]
fn what_is_larger_than_the_bound_is_left_out_and_the_rest_is_kept() {
    let folder = TempDir::new().unwrap();
    let mut large = kept("large", &[None]);
    large.versions[0].1.files.insert("b.proto".into(), vec![0; 1_000].into());
    let mut store = Store { most: 500, ..open(&folder) };
    store.write(vec![kept("first", &[None]), large, kept("last", &[None])]);
    assert!(fs::metadata(&store.path).unwrap().len() <= 500);
    assert_eq!(Store { most: 500, ..open(&folder) }.read(), [kept("first", &[None]), kept("last", &[None])]);
}

#[test]
fn a_folder_that_is_gone_costs_only_the_file() {
    let (folder, path) = written();
    let mut store = open(&folder);
    fs::remove_dir_all(folder.path()).unwrap();
    store.write(vec![kept("area", &[None])]);
    fs::create_dir(folder.path()).unwrap();
    store.write(vec![kept("area", &[None])]);
    assert!(path.exists());
}
