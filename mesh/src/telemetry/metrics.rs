//! The instruments, named as gRPC's OpenTelemetry metrics are (gRFC A66, A96).

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, MeterProvider as _},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tonic::Code;

/// All instruments of the call path.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    attempt_started: Counter<u64>,
    attempt_duration: Histogram<f64>,
    attempt_sent: Histogram<u64>,
    attempt_received: Histogram<u64>,
    call_duration: Histogram<f64>,
    call_retries: Counter<u64>,
    call_transparent_retries: Counter<u64>,
    ejections_enforced: Counter<u64>,
    ejections_unenforced: Counter<u64>,
    breaker_opened: Counter<u64>,
    server_started: Counter<u64>,
    server_duration: Histogram<f64>,
}

/// Who an attempt was for: the method without a leading `/`, and the service asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttemptLabels {
    method: KeyValue,
    target: KeyValue,
}

impl AttemptLabels {
    /// `method` must come from a bounded set (a descriptor or the routes), else `"other"`.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: KeyValue::new("grpc.method", method.trim_start_matches('/').to_owned()),
            target: KeyValue::new("grpc.target", target.to_owned()),
        }
    }

    fn bare(&self) -> [KeyValue; 2] {
        [self.method.clone(), self.target.clone()]
    }

    fn with(&self, code: Code) -> [KeyValue; 3] {
        [self.method.clone(), self.target.clone(), status(code)]
    }
}

impl Metrics {
    pub(crate) fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("selvedge");
        let seconds = |name: &'static str, text: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(text).with_boundaries(LATENCY.to_vec()).build()
        };
        let bytes = |name: &'static str, text: &'static str| {
            meter.u64_histogram(name).with_unit("By").with_description(text).with_boundaries(SIZE.to_vec()).build()
        };
        let count = |name: &'static str, text: &'static str| meter.u64_counter(name).with_description(text).build();
        Self {
            attempt_started: count("grpc.client.attempt.started", "Attempts begun, whether or not they ended"),
            attempt_duration: seconds("grpc.client.attempt.duration", "Time from an attempt's begin to its end"),
            attempt_sent: bytes(
                "grpc.client.attempt.sent_total_compressed_message_size",
                "Bytes of all messages that an attempt sent",
            ),
            attempt_received: bytes(
                "grpc.client.attempt.rcvd_total_compressed_message_size",
                "Bytes of all messages that an attempt received",
            ),
            call_duration: seconds("grpc.client.call.duration", "Time of a call over all its attempts"),
            call_retries: count("grpc.client.call.retries", "Retries, transparent ones excluded"),
            call_transparent_retries: count(
                "grpc.client.call.transparent_retries",
                "Retries of attempts that no server had processed",
            ),
            ejections_enforced: count("grpc.lb.outlier_detection.ejections_enforced", "Endpoints that were ejected"),
            ejections_unenforced: count(
                "grpc.lb.outlier_detection.ejections_unenforced",
                "Endpoints that were not ejected because too many are",
            ),
            breaker_opened: count("selvedge.breaker.opened", "Breakers of endpoints that opened"),
            server_started: count("grpc.server.call.started", "Calls that arrived"),
            server_duration: seconds("grpc.server.call.duration", "Time from a call's arrival to its end"),
        }
    }

    pub(crate) fn attempt_started(&self, labels: &AttemptLabels) {
        self.attempt_started.add(1, &labels.bare());
    }

    pub(crate) fn attempt_ended(&self, labels: &AttemptLabels, code: Code, took: Duration, bytes: Bytes) {
        let labels = labels.with(code);
        self.attempt_duration.record(took.as_secs_f64(), &labels);
        self.attempt_sent.record(bytes.sent, &labels);
        self.attempt_received.record(bytes.received, &labels);
    }

    pub(crate) fn call_ended(&self, labels: &AttemptLabels, code: Code, took: Duration) {
        self.call_duration.record(took.as_secs_f64(), &labels.with(code));
    }

    pub(crate) fn retried(&self, labels: &AttemptLabels, transparent: bool) {
        let counter = if transparent { &self.call_transparent_retries } else { &self.call_retries };
        counter.add(1, &labels.bare());
    }

    /// Counts an ejection that was found right, and whether it came to pass (gRFC A91).
    pub(crate) fn ejection(&self, target: &KeyValue, found_by: &'static str, enforced: bool) {
        let found_by = KeyValue::new("grpc.lb.outlier_detection.detection_method", found_by);
        if enforced {
            return self.ejections_enforced.add(1, &[target.clone(), found_by]);
        }
        let reason = KeyValue::new("grpc.lb.outlier_detection.unenforced_reason", "max_ejection_overflow");
        self.ejections_unenforced.add(1, &[target.clone(), found_by, reason]);
    }

    pub(crate) fn breaker_opened(&self, target: &KeyValue) {
        self.breaker_opened.add(1, std::slice::from_ref(target));
    }

    pub(crate) fn server_started(&self, method: &str) {
        self.server_started.add(1, &[KeyValue::new("grpc.method", method.to_owned())]);
    }

    pub(crate) fn server_ended(&self, method: &str, code: Code, took: Duration) {
        let labels = [KeyValue::new("grpc.method", method.to_owned()), status(code)];
        self.server_duration.record(took.as_secs_f64(), &labels);
    }
}

/// Bytes of the messages of one attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

fn status(code: Code) -> KeyValue {
    KeyValue::new("grpc.status", code_name(code))
}

/// Returns the name of a code as gRPC writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Bucket bounds in seconds (gRFC A66).
const LATENCY: [f64; 41] = [
    0.0, 0.000_01, 0.000_05, 0.000_1, 0.000_3, 0.000_6, 0.000_8, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
    0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8,
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
];

/// Bucket bounds in bytes (gRFC A66).
const SIZE: [f64; 15] = [
    0.0,
    1_024.0,
    2_048.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
    17_179_869_184.0,
];
