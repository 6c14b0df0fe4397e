//! A service that answers reflection as a test wants it, and all other calls with one message.

use futures::{StreamExt as _, stream::BoxStream};
use hyper_util::{rt::TokioExecutor, server::conn::auto::Builder};
use tonic::{Status, Streaming, body::Body};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
    server_reflection_request::MessageRequest as Question, server_reflection_response::MessageResponse as Answer,
};

use super::*;
use crate::schema::Files;

/// What reflection answers; nothing for never.
pub(super) type Reflect = dyn Fn(&Question) -> Option<Answer> + Send + Sync;

/// Serves on a free port, and returns it.
pub(super) async fn serve(reflect: Arc<Reflect>, reply: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let reflect = Arc::clone(&reflect);
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let reflect = Arc::clone(&reflect);
                async move { Ok::<_, std::convert::Infallible>(answered(reflect, request.map(Body::new), reply).await) }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(async move { Builder::new(TokioExecutor::new()).serve_connection(io, service).await });
        }
    });
    port
}

async fn answered(reflect: Arc<Reflect>, request: http::Request<Body>, reply: &'static [u8]) -> http::Response<Body> {
    if !request.uri().path().ends_with("/ServerReflectionInfo") {
        return answer(vec![bytes::Bytes::from_static(reply)]);
    }
    let codec = ProstCodec::<ServerReflectionResponse, ServerReflectionRequest>::default();
    let answers = tower::service_fn(move |request| reflection(Arc::clone(&reflect), request));
    tonic::server::Grpc::new(codec).streaming(answers, request).await
}

async fn reflection(
    reflect: Arc<Reflect>,
    request: tonic::Request<Streaming<ServerReflectionRequest>>,
) -> Result<tonic::Response<BoxStream<'static, Result<ServerReflectionResponse, Status>>>, Status> {
    let answers = request.into_inner().then(move |question| {
        let reflect = Arc::clone(&reflect);
        async move {
            let question = question?.message_request.ok_or_else(|| Status::invalid_argument("nothing was asked"))?;
            let answer = match reflect(&question) {
                Some(answer) => answer,
                None => std::future::pending().await,
            };
            Ok(ServerReflectionResponse { message_response: Some(answer), ..ServerReflectionResponse::default() })
        }
    });
    Ok(tonic::Response::new(answers.boxed()))
}

/// Answers with these files, all of them at once where a symbol is asked for.
pub(super) fn of(files: Files) -> Arc<Reflect> {
    Arc::new(move |question| {
        let named = |name: &String| files.files.get(name).into_iter().map(|bytes| bytes.to_vec()).collect();
        Some(match question {
            Question::ListServices(_) => listed(&files.services),
            Question::FileByFilename(name) => sent(named(name)),
            _ => sent(files.files.values().map(|bytes| bytes.to_vec()).collect()),
        })
    })
}

/// Answers with these bytes for a file, and says that it has one service.
pub(super) fn raw(service: &'static str, files: Vec<Vec<u8>>) -> Arc<Reflect> {
    Arc::new(move |question| match question {
        Question::ListServices(_) => Some(listed(&[service.to_owned()])),
        _ => Some(sent(files.clone())),
    })
}

pub(super) fn listed(names: &[String]) -> Answer {
    let service = names.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
    Answer::ListServicesResponse(ListServiceResponse { service })
}

pub(super) fn sent(file_descriptor_proto: Vec<Vec<u8>>) -> Answer {
    Answer::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
}
