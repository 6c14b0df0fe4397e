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

use crate::schema::{census, files::Files, honest::clean};

/// How long one reading may take.
const TIME: Duration = Duration::from_secs(10);
/// How many bytes of descriptors a service may have.
const BYTES: usize = 16 * 1024 * 1024;
/// How many files a service may have, and how many gRPC services.
const FILES: usize = 1_000;
/// How many fields the descriptors of a service may have, which is what they take in memory: each declaration has a few.
const FIELDS: usize = 1_000_000;

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
    let (mut size, mut fields) = (0, 0);
    while let Some(question) = wanted.pop() {
        let raw = talk.files(question).await?;
        size += raw.iter().map(Vec::len).sum::<usize>();
        // Before they are decoded, which makes more of them.
        fields += raw.iter().map(|raw| census::fields(raw)).sum::<usize>();
        if size > BYTES || fields > FIELDS {
            return Err(too_large());
        }
        for file in decoded(raw).await? {
            let new = file.imports.into_iter().filter(|name| asked.insert(name.clone()));
            wanted.extend(new.map(Question::FileByFilename));
            files.insert(file.name, file.bytes);
        }
        if files.len() > FILES || asked.len() > FILES {
            return Err(too_large());
        }
    }
    Ok(Files { files, services })
}

fn too_large() -> Status {
    let text = format!("its schema is larger than {FILES} files and services, {FIELDS} fields or {BYTES} bytes");
    Status::resource_exhausted(text)
}

/// A file as it was sent, and what of it is needed to ask on.
struct File {
    name: String,
    imports: Vec<String>,
    bytes: Bytes,
}

/// Large files take a while, and calls do not wait for them.
async fn decoded(raw: Vec<Vec<u8>>) -> Result<Vec<File>, Status> {
    let decode = |raw: Vec<u8>| {
        let mut file = prost_types::FileDescriptorProto::decode(raw.as_slice())
            .map_err(|error| Status::internal(format!("it sent a file that is no descriptor: {error}")))?;
        let imports = std::mem::take(&mut file.dependency);
        Ok(File { name: file.name().to_owned(), imports, bytes: Bytes::from(raw) })
    };
    let decoding = tokio::task::spawn_blocking(move || raw.into_iter().map(decode).collect());
    decoding.await.unwrap_or_else(|_| Err(Status::internal("its descriptors cannot be read")))
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
        if list.service.len() > FILES {
            return Err(too_large());
        }
        let names: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();
        Ok(names.into_iter().filter(|name| !PRIVATE.iter().any(|private| name.starts_with(private))).collect())
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
        code => format!("{code:?}: {}", clean(status.message())),
    }
}

#[cfg(test)]
mod tests;
