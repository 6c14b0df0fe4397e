//! Sends spans and metrics to a receiver of OTLP (OpenTelemetry Protocol, over gRPC), away from the calls: what does
//! not fit into the bounded queue is dropped, and a receiver that is gone is told of once.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{PeriodicReader, Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData},
};

use crate::{config::OtlpConfig, error::Error};

/// How long spans are gathered before they are sent.
const GATHERED: Duration = Duration::from_secs(1);
/// Spans of one request to the receiver.
const BATCH: usize = 512;

/// Returns what sends the spans of a service.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for an endpoint that cannot be used, or outside a Tokio runtime.
pub(crate) fn spans(service: &str, config: &OtlpConfig, endpoint: &str) -> Result<SdkTracerProvider, Error> {
    in_runtime()?;
    let built = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(config.timeout).build();
    let exporter = Told::new("spans", endpoint, built.map_err(|error| refused(&error))?);
    let limits = BatchConfigBuilder::default()
        .with_max_queue_size(config.queue)
        .with_max_export_batch_size(BATCH.min(config.queue))
        .with_scheduled_delay(GATHERED)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(limits).build();
    let builder = SdkTracerProvider::builder().with_span_processor(processor);
    // Which are recorded is chosen before a span is made.
    Ok(builder.with_sampler(Sampler::AlwaysOn).with_resource(resource(service)).build())
}

/// Returns what sends the metrics, again and again.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for an endpoint that cannot be used, or outside a Tokio runtime.
pub(crate) fn metrics(config: &OtlpConfig, endpoint: &str) -> Result<PeriodicReader<impl PushMetricExporter>, Error> {
    in_runtime()?;
    let built = MetricExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(config.timeout).build();
    let exporter = Told::new("metrics", endpoint, built.map_err(|error| refused(&error))?);
    Ok(PeriodicReader::builder(exporter).with_interval(config.metrics_interval).build())
}

/// Returns who the telemetry is of.
pub(crate) fn resource(service: &str) -> Resource {
    let version = KeyValue::new("telemetry.distro.version", env!("CARGO_PKG_VERSION"));
    let distro = KeyValue::new("telemetry.distro.name", "selvedge");
    // An empty one to begin with: another would read the environment.
    Resource::builder_empty().with_service_name(service.to_owned()).with_attributes([distro, version]).build()
}

fn refused(error: &ExporterBuildError) -> Error {
    Error::config(
        "telemetry.otlp.endpoint",
        &format!("{error}: expected http://host:port, where OTLP over gRPC is spoken"),
    )
}

/// The exporter's connection lives on the runtime.
fn in_runtime() -> Result<(), Error> {
    let inside = tokio::runtime::Handle::try_current().is_ok();
    let outside = || Error::config("telemetry.otlp.endpoint", "needs a Tokio runtime: make the telemetry inside one");
    inside.then_some(()).ok_or_else(outside)
}

/// An exporter whose failure is logged once, and that it works again.
#[derive(Debug)]
struct Told<E> {
    inner: E,
    what: &'static str,
    endpoint: String,
    failing: AtomicBool,
}

impl<E> Told<E> {
    fn new(what: &'static str, endpoint: &str, inner: E) -> Self {
        Self { inner, what, endpoint: endpoint.into(), failing: AtomicBool::new(false) }
    }

    async fn tell(&self, sending: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let sent = sending.await;
        let Self { what, endpoint, failing, .. } = self;
        let failed = failing.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !failed => {
                tracing::warn!(endpoint, %error, "{what} cannot be sent: some are lost until they can")
            }
            Ok(()) if failed => tracing::info!(endpoint, "{what} are sent again"),
            Ok(()) | Err(_) => {}
        }
        sent
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.tell(self.inner.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Told<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tell(self.inner.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry_sdk::error::OTelSdkError;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// Lines of the log.
    #[derive(Clone, Debug, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[tokio::test]
    async fn a_receiver_that_is_gone_is_told_of_once_and_so_is_its_return() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).finish();
        let _here = tracing::subscriber::set_default(subscriber);
        let exporter = Told::new("spans", "http://127.0.0.1:4317", ());
        let failed = || Err(OTelSdkError::InternalFailure("connection refused".into()));
        for sent in [Ok(()), failed(), failed(), failed(), Ok(()), Ok(()), failed()] {
            let _ = exporter.tell(async { sent }).await;
        }
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let told: Vec<_> = text.lines().map(|line| line.contains("cannot be sent")).collect();
        assert_eq!(told, [true, false, true], "{text}");
    }

    #[test]
    fn an_endpoint_outside_a_runtime_or_without_a_host_is_refused_by_name() {
        let outside = spans("users", &OtlpConfig::default(), "http://127.0.0.1:4317").unwrap_err().to_string();
        assert!(outside.contains("telemetry.otlp.endpoint") && outside.contains("runtime"), "{outside}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let wrong = spans("users", &OtlpConfig::default(), "not a url").unwrap_err().to_string();
        assert!(wrong.contains("telemetry.otlp.endpoint") && wrong.contains("http://host:port"), "{wrong}");
    }
}
