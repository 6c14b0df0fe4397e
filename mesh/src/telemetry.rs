//! What is measured, and the loopback listener that shows it.

mod admin;
mod metrics;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::error::{Error, ErrorKind};

pub(crate) use self::metrics::{AttemptLabels, Bytes, Metrics, code_name};

/// The instruments of one process. It touches no global, so a process may have several, and the meshes of one
/// process may share one ([`crate::Builder::telemetry`]).
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Registry,
    provider: SdkMeterProvider,
    metrics: Metrics,
}

impl Telemetry {
    /// Makes instruments that can be read by Prometheus.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the instruments cannot be made.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .map_err(|error| Error::config("telemetry", &error.to_string()))?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let metrics = Metrics::new(&provider);
        Ok(Self { registry, provider, metrics })
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the meter provider, for instruments of the service's own.
    #[must_use]
    pub fn provider(&self) -> &SdkMeterProvider {
        &self.provider
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
