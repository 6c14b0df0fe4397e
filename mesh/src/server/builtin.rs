//! What every instance serves besides its own services: health and reflection.

use std::convert::Infallible;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::error::Error;

/// Descriptor sets of the built-in services.
const BUILT_IN: [&[u8]; 3] = [
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Adds `grpc.health.v1` and `grpc.reflection.{v1,v1alpha}` for the services of the descriptor sets. Returns as well
/// the methods that are served now, as `package.Service/Method`.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for bytes that are no descriptor set.
pub(crate) fn with_health_and_reflection(
    routes: Routes,
    served: &[&'static [u8]],
) -> Result<(Routes, Health, Vec<String>), Error> {
    let own = decode(served)?;
    let health = Health { reporter: HealthReporter::new(), names: names(&own) };
    let methods = own.iter().chain(&decode(&BUILT_IN)?).flat_map(methods).collect();
    // The encoded sets: prost would lose options such as google.api.http.
    let reflection = || {
        let none = Builder::configure().include_reflection_service(false);
        let sets = served.iter().chain(&BUILT_IN);
        sets.fold(none, |builder, set| builder.register_encoded_file_descriptor_set(set))
    };
    let routes = routes
        .add_service(HealthServer::new(HealthService::from_health_reporter(health.reporter.clone())))
        .add_service(reflection().build_v1().map_err(|error| unreadable(&error))?)
        .add_service(reflection().build_v1alpha().map_err(|error| unreadable(&error))?);
    Ok((routes, health, methods))
}

/// What health checks are answered.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    names: Vec<String>,
}

impl Health {
    /// Declares each service SERVING; the instance as a whole (`""`) is so from the start.
    pub(crate) async fn serving(&self) {
        self.declare(ServingStatus::Serving).await;
    }

    /// Declares everything SERVING while the value is `true`, and NOT_SERVING while it is `false`. Who sets it may end:
    /// the last value stays.
    pub(crate) async fn follow(&self, mut healthy: watch::Receiver<bool>) -> Infallible {
        loop {
            let status = if *healthy.borrow_and_update() { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.declare(status).await;
            if healthy.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn declare(&self, status: ServingStatus) {
        for name in self.names.iter().map(String::as_str).chain([""]) {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Declares everything NOT_SERVING, and ends the watches: a drain need not wait for them.
    pub(crate) async fn leaving(mut self) {
        for name in self.names.iter().map(String::as_str).chain([""]) {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
            self.reporter.clear_service_status(name).await;
        }
    }
}

fn decode(sets: &[&'static [u8]]) -> Result<Vec<FileDescriptorSet>, Error> {
    let decoded = sets.iter().map(|set| FileDescriptorSet::decode(*set));
    decoded.collect::<Result<_, _>>().map_err(|error| unreadable(&error.into()))
}

fn unreadable(error: &ReflectionError) -> Error {
    let reason = format!("not an encoded FileDescriptorSet ({error}): give the bytes that the build wrote");
    Error::config("descriptors", &reason)
}

/// Returns the full names of all services.
fn names(sets: &[FileDescriptorSet]) -> Vec<String> {
    let services = sets.iter().flat_map(|set| &set.file).flat_map(|file| {
        let package = file.package();
        file.service.iter().map(move |service| full_name(package, service.name()))
    });
    services.collect()
}

/// Returns `package.Service/Method` of all methods.
fn methods(set: &FileDescriptorSet) -> Vec<String> {
    let services = set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let methods = services.flat_map(|(package, service)| {
        let name = full_name(package, service.name());
        service.method.iter().map(move |method| format!("{name}/{}", method.name()))
    });
    methods.collect()
}

fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.into() } else { format!("{package}.{name}") }
}
