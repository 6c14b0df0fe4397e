//! One reflection and one health service over all of the mesh.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwap;
use futures::{Stream, StreamExt as _, stream::BoxStream};
use http::{Request, Response};
use prost_reflect::{DescriptorPool, FileDescriptor};
use tonic::{Code, Status, Streaming, body::Body, server::StreamingService};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_prost::ProstCodec;
// The messages of v1 and v1alpha are the same on the wire: only the path differs.
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse, server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse as Answer,
};
use tower::ServiceExt as _;

use crate::schema::{Files, Learned, OWN, Schema};

/// The gateway's own gRPC services.
#[derive(Clone)]
pub(crate) struct Local {
    health: HealthServer<HealthService>,
    reflection: Reflection,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

impl Local {
    pub(crate) fn new(schema: Arc<ArcSwap<Schema>>, health: HealthReporter) -> Self {
        Self {
            health: HealthServer::new(HealthService::from_health_reporter(health)),
            reflection: Reflection { schema, own: Arc::new(own()) },
        }
    }

    /// Answers one gRPC request.
    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if path.starts_with("/grpc.health.v1.Health/") {
            return match self.health.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
        if path.starts_with("/grpc.reflection.") && path.ends_with("/ServerReflectionInfo") {
            let codec = ProstCodec::<ServerReflectionResponse, ServerReflectionRequest>::default();
            return tonic::server::Grpc::new(codec).streaming(self.reflection.clone(), request).await;
        }
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        Status::unimplemented(format!("unknown method {method} of service {service}")).into_http()
    }
}

/// Answers from the schema of the moment.
#[derive(Clone, Debug)]
struct Reflection {
    schema: Arc<ArcSwap<Schema>>,
    own: Arc<Learned>,
}

impl StreamingService<ServerReflectionRequest> for Reflection {
    type Response = ServerReflectionResponse;
    type ResponseStream = BoxStream<'static, Result<ServerReflectionResponse, Status>>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<ServerReflectionRequest>>) -> Self::Future {
        let answers = self.clone().answers(request.into_inner());
        std::future::ready(Ok(tonic::Response::new(answers.boxed())))
    }
}

impl Reflection {
    fn answers(
        self,
        questions: Streaming<ServerReflectionRequest>,
    ) -> impl Stream<Item = Result<ServerReflectionResponse, Status>> {
        questions.map(move |question| {
            let request = question?;
            let asked = request.message_request.clone();
            let answer = asked.map_or_else(|| error(Code::InvalidArgument, "nothing was asked"), |q| self.answer(q));
            Ok(ServerReflectionResponse {
                valid_host: request.host.clone(),
                original_request: Some(request),
                message_response: Some(answer),
            })
        })
    }

    fn answer(&self, question: Question) -> Answer {
        let schema = self.schema.load();
        let mut known: Vec<&Arc<Learned>> = vec![&self.own];
        known.extend(schema.services().values());
        match question {
            Question::ListServices(_) => list(&schema),
            Question::FileByFilename(name) => {
                let file =
                    |learned: &&Arc<Learned>| learned.pool.get_file_by_name(&name).map(|f| with_imports(learned, &f));
                known.iter().find_map(file).unwrap_or_else(|| error(Code::NotFound, &format!("no file {name}")))
            }
            Question::FileContainingSymbol(symbol) => {
                // What belongs to a service is looked for in that service's own files first.
                let owner = schema.services().iter().find(|(name, _)| is_inside(&symbol, name)).map(|(_, by)| by);
                let mut order = owner.into_iter().chain(known);
                let file = |learned: &Arc<Learned>| Some(with_imports(learned, &file_of(&learned.pool, &symbol)?));
                order.find_map(file).unwrap_or_else(|| error(Code::NotFound, &format!("no symbol {symbol}")))
            }
            Question::FileContainingExtension(wanted) => {
                let number = u32::try_from(wanted.extension_number).unwrap_or_default();
                let file = |learned: &&Arc<Learned>| {
                    let of = learned.pool.get_message_by_name(&wanted.containing_type)?;
                    let file = of.get_extension(number)?.parent_file();
                    Some(with_imports(learned, &file))
                };
                known.iter().find_map(file).unwrap_or_else(|| error(Code::NotFound, "no such extension"))
            }
            Question::AllExtensionNumbersOfType(name) => extensions(&known, name),
        }
    }
}

fn own() -> Learned {
    let sets = [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        // Not a service of ours, but what errors are made of: so clients can print their details.
        tonic_types::pb::FILE_DESCRIPTOR_SET,
    ];
    let files = Files::from_sets(&sets, &OWN).expect("tonic's descriptor sets are valid");
    Learned::new("gateway", None, 0, files).expect("tonic's descriptor sets fit together")
}

fn list(schema: &Schema) -> Answer {
    let names = schema.services().keys().map(String::as_str).chain(OWN);
    let service = names.map(|name| ServiceResponse { name: name.to_owned() }).collect();
    Answer::ListServicesResponse(ListServiceResponse { service })
}

/// Answers with a file and all that it imports: files of one name from other services may differ.
fn with_imports(learned: &Learned, file: &FileDescriptor) -> Answer {
    let mut names = vec![file.name().to_owned()];
    let mut wanted = vec![file.clone()];
    while let Some(file) = wanted.pop() {
        for import in
            file.dependencies().filter(|import| !names.iter().any(|name| name == import.name())).collect::<Vec<_>>()
        {
            names.push(import.name().to_owned());
            wanted.push(import);
        }
    }
    let raw = names.iter().filter_map(|name| learned.files.files.get(name)).map(|bytes| bytes.to_vec());
    Answer::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto: raw.collect() })
}

/// Finds the file that declares a symbol; methods, fields and enum values are found with what they belong to.
fn file_of(pool: &DescriptorPool, symbol: &str) -> Option<FileDescriptor> {
    let symbol = symbol.trim_start_matches('.');
    let service = pool.get_service_by_name(symbol).map(|found| found.parent_file());
    let found = service
        .or_else(|| pool.get_message_by_name(symbol).map(|found| found.parent_file()))
        .or_else(|| pool.get_enum_by_name(symbol).map(|found| found.parent_file()))
        .or_else(|| pool.get_extension_by_name(symbol).map(|found| found.parent_file()));
    found.or_else(|| {
        let (outer, last) = symbol.rsplit_once('.')?;
        let method = pool.get_service_by_name(outer).filter(|s| s.methods().any(|m| m.name() == last));
        let field = pool.get_message_by_name(outer).filter(|m| m.get_field_by_name(last).is_some());
        method.map(|found| found.parent_file()).or_else(|| field.map(|found| found.parent_file()))
    })
}

fn is_inside(symbol: &str, service: &str) -> bool {
    symbol.strip_prefix(service).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn extensions(known: &[&Arc<Learned>], name: String) -> Answer {
    let types: Vec<_> = known.iter().filter_map(|learned| learned.pool.get_message_by_name(&name)).collect();
    if types.is_empty() {
        return error(Code::NotFound, &format!("no message {name}"));
    }
    let numbers: BTreeSet<u32> =
        types.iter().flat_map(|of| of.extensions().map(|e| e.number()).collect::<Vec<_>>()).collect();
    let extension_number = numbers.into_iter().filter_map(|number| i32::try_from(number).ok()).collect();
    Answer::AllExtensionNumbersResponse(ExtensionNumberResponse { base_type_name: name, extension_number })
}

fn error(code: Code, message: &str) -> Answer {
    Answer::ErrorResponse(ErrorResponse { error_code: code.into(), error_message: message.to_owned() })
}

#[cfg(test)]
mod tests;
