//! What the gateway measures of its requests, named as OpenTelemetry's HTTP conventions name it.

use std::time::Duration;

use http::{Method, StatusCode};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, MeterProvider as _},
};
use selvedge::Telemetry;

/// The instruments of the public listener.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    duration: Histogram<f64>,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let duration = telemetry
            .provider()
            .meter("selvedge.gateway")
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Time from a request's headers to the headers of its answer")
            .with_boundaries(vec![0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0])
            .build();
        Self { duration }
    }

    pub(crate) fn answered(&self, method: &Method, protocol: &'static str, status: StatusCode, took: Duration) {
        let labels = [
            KeyValue::new("http.request.method", known(method)),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            KeyValue::new("selvedge.protocol", protocol),
        ];
        self.duration.record(took.as_secs_f64(), &labels);
    }
}

/// Clients may invent methods, but not labels.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
