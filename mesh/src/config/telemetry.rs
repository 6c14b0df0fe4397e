//! What is measured and traced is sent somewhere, or is not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{config::duration, error::Error};

/// What is measured and traced is sent somewhere, or is not.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// Where spans and metrics are sent.
    pub otlp: OtlpConfig,
    /// Which traces are recorded.
    pub traces: TracesConfig,
}

/// Where spans and metrics are sent, by OTLP over gRPC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The receiver, as `http://host:port`; without one nothing is sent, and no trace recorded.
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// How long one request to it may take, and the last ones when the instance leaves. Default 10 s.
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How often metrics are sent. Default 60 s. `OTEL_METRIC_EXPORT_INTERVAL`, in milliseconds.
    #[serde(with = "duration")]
    pub metrics_interval: Duration,
    /// Spans that wait to be sent; more are dropped. Default 2,048.
    pub queue: usize,
}

/// Which traces are recorded.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TracesConfig {
    /// The share of the traces that begin here that are recorded, 0 to 1. What belongs to a trace of somebody else's is
    /// recorded if the caller recorded it. Default 0.01. `OTEL_TRACES_SAMPLER_ARG`.
    pub sample: f64,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            timeout: Duration::from_secs(10),
            metrics_interval: Duration::from_secs(60),
            queue: 2_048,
        }
    }
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { sample: 0.01 }
    }
}

impl TelemetryConfig {
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the setting.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let Self { otlp, traces } = self;
        let no_url =
            |text: &String| !reqwest::Url::parse(text).is_ok_and(|url| url.scheme() == "http" && url.has_host());
        if let Some(endpoint) = otlp.endpoint.as_ref().filter(|text| no_url(text)) {
            let text = format!("{endpoint:?} is no address of a receiver: expected http://host:port");
            return Err(Error::config("telemetry.otlp.endpoint", &text));
        }
        if !(0.0..=1.0).contains(&traces.sample) {
            return Err(Error::config("telemetry.traces.sample", "must be 0 to 1"));
        }
        if otlp.queue == 0 {
            return Err(Error::config("telemetry.otlp.queue", "must be at least 1"));
        }
        for (key, duration) in
            [("telemetry.otlp.timeout", otlp.timeout), ("telemetry.otlp.metrics_interval", otlp.metrics_interval)]
        {
            if duration.is_zero() {
                return Err(Error::config(key, "must be more than 0s"));
            }
        }
        Ok(())
    }
}
