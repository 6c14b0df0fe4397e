//! Reads the schema of a service from one of its instances, by gRPC reflection.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, body::Body, client::Grpc};
use tonic_prost::ProstCodec;
// The messages of v1 and v1alpha are the same on the wire: only the path differs.
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse as Answer,
};
use tower::Service;

use crate::schema::learned::Files;

/// How long one reading may take.
const TIME: Duration = Duration::from_secs(10);
/// How many bytes of descriptors a service may have.
const BYTES: usize = 16 * 1024 * 1024;
/// How many files a service may have.
const FILES: usize = 1_000;

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// Services that every instance has for itself, never exposed.
const PRIVATE: [&str; 6] =
    ["grpc.health.", "grpc.reflection.", "grpc.channelz.", "grpc.admin.", "selvedge.mesh.", "selvedge.admin."];

/// The way to a service, as [`selvedge::Channel`] is one.
pub(crate) trait Channel:
    Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future: Send> + Clone + Send
{
}

impl<C> Channel for C where
    C: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future: Send> + Clone + Send
{
}

/// Reads all that a service declares.
pub(crate) async fn read(channel: impl Channel) -> Result<Files, String> {
    match tokio::time::timeout(TIME, read_any(channel)).await {
        Ok(read) => read.map_err(|status| explain(&status)),
        Err(_) => Err(format!("reflection did not end within {} s", TIME.as_secs())),
    }
}

async fn read_any(channel: impl Channel) -> Result<Files, Status> {
    match read_with(channel.clone(), V1).await {
        Err(status) if status.code() == Code::Unimplemented => read_with(channel, V1ALPHA).await,
        read => read,
    }
}

async fn read_with(channel: impl Channel, path: &'static str) -> Result<Files, Status> {
    let mut talk = Talk::begin(channel, path).await?;
    let services = talk.services().await?;
    let mut files = BTreeMap::new();
    let mut asked = BTreeSet::new();
    let mut wanted: Vec<Question> = services.iter().cloned().map(Question::FileContainingSymbol).collect();
    let mut size = 0;
    while let Some(question) = wanted.pop() {
        for raw in talk.files(question).await? {
            let file = prost_types::FileDescriptorProto::decode(raw.as_slice())
                .map_err(|error| Status::internal(format!("it sent a file that is no descriptor: {error}")))?;
            let new = file.dependency.iter().filter(|name| asked.insert((*name).clone()));
            wanted.extend(new.cloned().map(Question::FileByFilename));
            size += raw.len();
            files.insert(file.name().to_owned(), Bytes::from(raw));
        }
        if size > BYTES || files.len() > FILES || asked.len() > FILES {
            return Err(Status::resource_exhausted(format!(
                "its schema is larger than {FILES} files or {BYTES} bytes"
            )));
        }
    }
    Ok(Files { files, services })
}

/// One stream of questions and answers.
struct Talk {
    questions: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Talk {
    async fn begin(channel: impl Channel, path: &'static str) -> Result<Self, Status> {
        let (questions, stream) = mpsc::channel(1);
        // The first question goes ahead: a server may answer with headers only when it has one.
        ask(&questions, Question::ListServices(String::new())).await?;
        let mut client = Grpc::new(channel).max_decoding_message_size(BYTES);
        match client.ready().await {
            Ok(()) => {}
            Err(never) => match never {},
        }
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        let request = Request::new(ReceiverStream::new(stream));
        let answers = client.streaming(request, PathAndQuery::from_static(path), codec).await?.into_inner();
        Ok(Self { questions, answers })
    }

    /// Reads the answer to the first question.
    async fn services(&mut self) -> Result<Vec<String>, Status> {
        let Answer::ListServicesResponse(list) = self.answer().await? else { return Err(unasked()) };
        let names = list.service.into_iter().map(|service| service.name);
        Ok(names.filter(|name| !PRIVATE.iter().any(|private| name.starts_with(private))).collect())
    }

    async fn files(&mut self, question: Question) -> Result<Vec<Vec<u8>>, Status> {
        ask(&self.questions, question).await?;
        let Answer::FileDescriptorResponse(files) = self.answer().await? else { return Err(unasked()) };
        Ok(files.file_descriptor_proto)
    }

    async fn answer(&mut self) -> Result<Answer, Status> {
        let response = self.answers.message().await?;
        let answer = response.and_then(|response| response.message_response);
        match answer.ok_or_else(|| Status::internal("its reflection ended without an answer"))? {
            Answer::ErrorResponse(error) => Err(Status::internal(format!(
                "its reflection answered {:?}: {}",
                Code::from_i32(error.error_code),
                error.error_message
            ))),
            answer => Ok(answer),
        }
    }
}

async fn ask(questions: &mpsc::Sender<ServerReflectionRequest>, question: Question) -> Result<(), Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    questions.send(request).await.map_err(|_| Status::internal("its reflection ended early"))
}

fn unasked() -> Status {
    Status::internal("its reflection answered what was not asked")
}

fn explain(status: &Status) -> String {
    match status.code() {
        Code::Unimplemented => "it has no reflection: turn on grpc.reflection.v1 in the service".to_owned(),
        code => format!("{code:?}: {}", status.message()),
    }
}

#[cfg(test)]
mod tests;
