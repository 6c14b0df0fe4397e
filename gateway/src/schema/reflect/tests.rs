//! Readings from reflection services in the process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use tonic_health::server::HealthReporter;

use super::*;
use crate::{
    reflection::Local,
    testing::{descriptors, shop},
};

/// The gateway's own reflection over the shop, which speaks both versions unless `v1` is off.
fn service(v1: bool, calls: Arc<AtomicUsize>) -> impl Channel {
    let local = Local::new(Arc::new(ArcSwap::from(shop())), HealthReporter::new());
    tower::service_fn(move |request: http::Request<Body>| {
        let (local, known) = (local.clone(), v1 || request.uri().path() != V1);
        calls.fetch_add(1, Ordering::Relaxed);
        async move {
            let answer =
                if known { local.call(request).await } else { Status::unimplemented("no such service").into_http() };
            Ok::<_, Infallible>(answer)
        }
    })
}

#[tokio::test]
async fn a_service_is_read_as_it_was_compiled() {
    let read = read(service(true, Arc::default())).await.unwrap();
    let compiled = Files::from_sets(&[&descriptors("shop/v1/shop.proto")], &["shop.v1.ShopService"]).unwrap();
    assert_eq!(read, compiled, "every file and every byte, without the instance's own services");
}

#[tokio::test]
async fn the_older_reflection_is_asked_where_the_newer_is_not() {
    let calls = Arc::new(AtomicUsize::new(0));
    let read = read(service(false, Arc::clone(&calls))).await.unwrap();
    assert_eq!(read.services, ["shop.v1.ShopService"]);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_service_without_reflection_says_what_to_do() {
    let none = tower::service_fn(|_| async { Ok(Status::unimplemented("unknown service").into_http()) });
    let error = read(none).await.unwrap_err();
    assert!(error.contains("turn on grpc.reflection.v1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_never_ends_is_given_up() {
    let silent = tower::service_fn(|_| std::future::pending());
    let error = read(silent).await.unwrap_err();
    assert!(error.contains("within 10 s"), "{error}");
}

#[tokio::test]
async fn a_schema_without_end_is_given_up() {
    // Every file imports two more.
    let endless = tower::service_fn(|request: http::Request<Body>| async move {
        let codec = ProstCodec::<ServerReflectionResponse, ServerReflectionRequest>::default();
        Ok(tonic::server::Grpc::new(codec).streaming(tower::service_fn(endless), request).await)
    });
    let error = read(endless).await.unwrap_err();
    assert!(error.contains("larger than 1000 files"), "{error}");
}

async fn endless(
    request: Request<Streaming<ServerReflectionRequest>>,
) -> Result<tonic::Response<impl futures::Stream<Item = Result<ServerReflectionResponse, Status>>>, Status> {
    use futures::StreamExt as _;
    Ok(tonic::Response::new(request.into_inner().map(|question| {
        let answer = match question?.message_request {
            Some(Question::FileByFilename(name)) => file(&name),
            Some(Question::FileContainingSymbol(_)) => file("a"),
            _ => Answer::ListServicesResponse(tonic_reflection::pb::v1::ListServiceResponse {
                service: vec![tonic_reflection::pb::v1::ServiceResponse { name: "a.A".into() }],
            }),
        };
        Ok(ServerReflectionResponse { message_response: Some(answer), ..ServerReflectionResponse::default() })
    })))
}

fn file(name: &str) -> Answer {
    let number = name.as_bytes().iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(*byte));
    let dependency = vec![format!("{number}x"), format!("{number}y")];
    let file = prost_types::FileDescriptorProto { name: Some(name.into()), dependency, ..Default::default() };
    let file_descriptor_proto = vec![file.encode_to_vec()];
    Answer::FileDescriptorResponse(tonic_reflection::pb::v1::FileDescriptorResponse { file_descriptor_proto })
}
