//! Health and reflection.

use prost::Message;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::{notes::descriptors, *};

fn framed(message: &impl Message) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    bytes.extend(message.encode_to_vec());
    bytes.into()
}

fn unframed<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(&bytes[5..]).unwrap()
}

async fn health(client: &Client, service: &str) -> Result<ServingStatus, Code> {
    let asked = framed(&HealthCheckRequest { service: service.into() });
    let told = client.call(request("/grpc.health.v1.Health/Check"), asked).await;
    match told.code() {
        Code::Ok => Ok(unframed::<HealthCheckResponse>(&told.body).status()),
        code => Err(code),
    }
}

#[tokio::test]
async fn the_instance_and_its_services_are_serving() {
    let served = Served::with(echo().routes(), &[descriptors()], |_| {}).await;
    let client = served.connect().await;
    assert_eq!(health(&client, "").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&client, "test.Echo").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&client, "test.Nobody").await, Err(Code::NotFound));
    served.stop().await;
}

#[tokio::test]
async fn health_is_what_the_instance_says_of_itself() {
    let consul = FakeConsul::start().await;
    let mesh = Mesh::builder(consul.config()).descriptors(descriptors()).build().unwrap();
    let (healthy, heard) = tokio::sync::watch::channel(true);
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel();
    let serve = mesh.serve(echo().routes()).healthy_while(heard).until(async { drop(stopped.await) });
    let ended = tokio::spawn(serve.on_ready(|address| ready.send(address).unwrap()).into_future());
    let client = Client::connect(soon(is_ready).await.unwrap()).await;
    let becomes = async |status: ServingStatus| {
        for name in ["", "test.Echo"] {
            while health(&client, name).await != Ok(status) {
                tokio::task::yield_now().await;
            }
        }
    };
    soon(becomes(ServingStatus::Serving)).await;
    for (value, status) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)] {
        healthy.send(value).unwrap();
        soon(becomes(status)).await;
        assert_eq!(client.say(message(1)).await.code(), Code::Ok, "calls are served all the same");
    }
    // Who said so is gone: the last word stays.
    drop(healthy);
    soon(becomes(ServingStatus::Serving)).await;
    stop.send(()).unwrap();
    soon(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_watch_of_health_hears_of_the_drain_and_ends() {
    let served = Served::start(echo().routes()).await;
    let client = served.connect().await;
    let asked = framed(&HealthCheckRequest::default());
    let (response, mut out) = client.open(request("/grpc.health.v1.Health/Watch")).await;
    send(&mut out, asked, true).await;
    let mut watch = soon(response).await.unwrap().into_body();
    let mut told = Vec::new();
    told.push(unframed::<HealthCheckResponse>(&soon(watch.data()).await.unwrap().unwrap()).status());
    served.stop.send(()).unwrap();
    while let Some(data) = soon(watch.data()).await {
        told.push(unframed::<HealthCheckResponse>(&data.unwrap()).status());
    }
    assert_eq!(told, [ServingStatus::Serving, ServingStatus::NotServing]);
    assert_eq!(soon(watch.trailers()).await.unwrap().unwrap()["grpc-status"], "0");
    soon(served.ended).await.unwrap().unwrap();
}

async fn reflect(client: &Client, version: &str, question: MessageRequest) -> MessageResponse {
    let asked = framed(&ServerReflectionRequest { host: String::new(), message_request: Some(question) });
    let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    let told = client.call(request(&path), asked).await;
    assert_eq!(told.code(), Code::Ok, "{version}: {told:?}");
    unframed::<ServerReflectionResponse>(&told.body).message_response.unwrap()
}

#[tokio::test]
async fn reflection_lists_what_is_served_in_both_versions() {
    let served = Served::with(echo().routes(), &[descriptors()], |_| {}).await;
    let client = served.connect().await;
    for version in ["v1", "v1alpha"] {
        let listed = reflect(&client, version, MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
        let mut names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
        names.sort();
        let all = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "test.Echo",
        ];
        assert_eq!(names, all, "{version}");
    }
    served.stop().await;
}

#[tokio::test]
async fn reflection_gives_files_as_they_were_given() {
    // An extension of the file's options, which no type of ours knows: field 50000, the text "kept".
    let mut file = vec![0x0a, 1, b'x'];
    file.extend([0x42, 8, 0x82, 0xb5, 0x18, 4]);
    file.extend(b"kept");
    let mut set = vec![0x0a, u8::try_from(file.len()).unwrap()];
    set.extend(&file);
    let served = Served::with(echo().routes(), &[set.leak()], |_| {}).await;
    let told = reflect(&served.connect().await, "v1", MessageRequest::FileByFilename("x".into())).await;
    let MessageResponse::FileDescriptorResponse(told) = told else { panic!("{told:?}") };
    assert_eq!(told.file_descriptor_proto, [file]);
    served.stop().await;
}
