use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{definition::service_registration, record::Node};

fn store() -> Arc<Store> {
    let node = Node::own("n".to_owned(), "dc1".to_owned(), Ipv4Addr::LOCALHOST.into(), BTreeMap::new());
    Arc::new(Store::new(node, CancellationToken::new()))
}

fn register(store: &Store, name: &str) {
    let registration = service_registration(format!(r#"{{"Name":"{name}"}}"#).as_bytes()).unwrap();
    store.write(|state| state.register(registration, false, Instant::now()));
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_read_wakes_for_its_own_resource_only() {
    let store = store();
    register(&store, "a");
    let index = store.read(|state| state.service_index("a"));
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { wait_until(&store, MINUTE, |state| state.service_index("a") > index).await }
    });
    register(&store, "b");
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "another service woke it");
    let before = Instant::now();
    let changed = r#"{"Name":"a","Port":1}"#;
    store.write(|state| state.register(service_registration(changed.as_bytes()).unwrap(), false, before));
    waiting.await.unwrap();
    assert_eq!(Instant::now(), before, "it waited for the limit");
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_at_its_limit_and_when_the_registry_closes() {
    let store = store();
    let before = Instant::now();
    wait_until(&store, MINUTE, |_| false).await;
    assert_eq!(Instant::now() - before, MINUTE);
    let before = Instant::now();
    store.closing().cancel();
    wait_until(&store, MINUTE, |_| false).await;
    assert_eq!(Instant::now(), before);
}

#[test]
fn the_limit_is_drawn_out_by_a_sixteenth_at_most() {
    for _ in 0..1000 {
        assert!(jitter(MINUTE * 16) <= MINUTE);
    }
}
