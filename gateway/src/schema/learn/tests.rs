//! What takes long is done aside.

use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

use super::*;

/// A schema of so many methods.
fn methods(count: usize) -> Files {
    let method = |number| MethodDescriptorProto {
        name: Some(format!("M{number}")),
        input_type: Some(".a.M".into()),
        output_type: Some(".a.M".into()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("S".into()),
        method: (0..count).map(method).collect(),
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("a.proto".into()),
        package: Some("a".into()),
        syntax: Some("proto3".into()),
        message_type: vec![DescriptorProto { name: Some("M".into()), ..DescriptorProto::default() }],
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    let files = [("a.proto".to_owned(), file.encode_to_vec().into())].into();
    Files { files, services: vec!["a.S".into()] }
}

/// One thread has to link, to index, and to answer calls: here another task, which counts its turns.
#[tokio::test]
async fn linking_and_indexing_leave_the_thread_to_calls() {
    let mesh = Mesh::new(selvedge::Config::new("gateway")).unwrap();
    let mut learner = Learner::new(mesh, Expose::All, Arc::default(), HealthReporter::new());
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&turns);
    tokio::spawn(async move {
        loop {
            counting.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let (linked, error) = learner.link("many", 0, vec![(None, methods(20_000))]).await;
    assert_eq!((linked.len(), error), (1, None));
    assert!(turns.swap(0, Ordering::Relaxed) > 10, "it was linked in the way of calls");
    let followed = Followed { digests: watch::Sender::default(), age: 0, state: state(linked, None), until: None };
    learner.followed.insert("many".into(), followed);
    turns.store(0, Ordering::Relaxed);
    learner.publish().await;
    assert!(turns.load(Ordering::Relaxed) > 10, "it was indexed in the way of calls");
    assert!(learner.schema.load().target("/a.S/M19999").is_ok());
}
