//! What is measured and traced, where it is sent, and the loopback listener that shows it.

mod admin;
mod descriptions;
mod export;
pub(crate) mod gauges;
pub(crate) mod inspect;
mod labels;
mod metrics;
#[cfg(test)]
pub(crate) mod recorded;
pub(crate) mod span;

use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

pub(crate) use self::{
    labels::{AttemptLabels, ServerLabels, code_name},
    metrics::{Bytes, Metrics, Retries},
    span::Tracer,
};
use crate::{
    config::TelemetryConfig,
    context::TraceContext,
    error::{Error, ErrorKind},
    telemetry::{inspect::Inspected, span::Span},
};

/// The instruments of one process, and the tracer of one service. It touches no global, so a process may have several,
/// and the meshes of one process may share the instruments of one ([`crate::Builder::telemetry`]).
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Registry,
    provider: SdkMeterProvider,
    metrics: Metrics,
    tracer: Tracer,
    inspected: Inspected,
    /// How long the last spans and metrics may take to be sent.
    patience: Duration,
}

impl Telemetry {
    /// Makes instruments that can be read by Prometheus, and are sent nowhere.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the instruments cannot be made.
    pub fn new() -> Result<Self, Error> {
        Self::exporting("", &TelemetryConfig::default())
    }

    /// Makes instruments that can be read by Prometheus, and are sent by OTLP if `config` names a receiver, as those of
    /// `service`. To be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a setting that cannot be used.
    pub fn exporting(service: &str, config: &TelemetryConfig) -> Result<Self, Error> {
        config.validate()?;
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .map_err(|error| Error::config("telemetry", &error.to_string()))?;
        let mut builder = SdkMeterProvider::builder().with_reader(exporter);
        if let Some(endpoint) = &config.otlp.endpoint {
            let reader = export::metrics(&config.otlp, endpoint)?;
            builder = builder.with_reader(reader).with_resource(export::resource(service));
        }
        let provider = builder.build();
        let metrics = Metrics::new(&provider);
        Ok(Self {
            registry,
            provider,
            metrics,
            tracer: Tracer::default(),
            inspected: Inspected::default(),
            patience: config.otlp.timeout,
        })
    }

    /// Returns the same instruments with a tracer of `service`, whose spans are sent if `config` names a receiver.
    pub(crate) fn traced(self, service: &str, config: &TelemetryConfig) -> Result<Self, Error> {
        let Some(endpoint) = &config.otlp.endpoint else { return Ok(self) };
        let tracer = Tracer::new(export::spans(service, &config.otlp, endpoint)?, config.traces.sample);
        Ok(Self { tracer, patience: config.otlp.timeout, ..self })
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the meshes that the admin listener tells of.
    pub(crate) fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Begins a span of what is served by other means than the mesh, such as a request over HTTP: below `parent`, or as
    /// the first of a trace. One that is not recorded costs nothing, and its name is not asked for.
    #[must_use]
    pub fn span(&self, parent: Option<TraceContext>, name: impl FnOnce() -> String) -> Span {
        self.tracer.begin(SpanKind::Server, parent, name)
    }

    /// Returns the meter provider, for instruments of the service's own.
    #[must_use]
    pub fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }

    /// Sends what has not been sent, for at most `telemetry.otlp.timeout`: for the end of a program. A mesh that serves
    /// does so when it has drained.
    pub async fn flush(&self) {
        let Self { provider, tracer, patience, .. } = self.clone();
        let sent = tokio::task::spawn_blocking(move || {
            // Each waits for its own thread; what fails there is told there.
            let _ = tracer.provider().map(|spans| spans.force_flush());
            let _ = provider.force_flush();
        });
        // Who waited long enough leaves: the thread ends with what it does.
        let _ = tokio::time::timeout(patience, sent).await;
    }

    /// Returns all measurements in Prometheus' text format (0.0.4).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an instrument cannot be written as text.
    pub fn prometheus_text(&self) -> Result<String, Error> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| Error::new(ErrorKind::Config, format!("metrics cannot be written: {error}")))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
