//! The instruments, named as gRPC's OpenTelemetry metrics are (gRFC A66, A91, A96).

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider as _, UpDownCounter},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tonic::Code;

use crate::telemetry::{
    descriptions::described,
    gauges::Gauges,
    labels::{AttemptLabels, Ended, ServerLabels},
};

/// All instruments of the call path. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    instruments: Arc<Instruments>,
    gauges: Gauges,
}

#[derive(Debug)]
struct Instruments {
    attempt_started: Counter<u64>,
    attempt_duration: Histogram<f64>,
    attempt_sent: Histogram<u64>,
    attempt_received: Histogram<u64>,
    call_duration: Histogram<f64>,
    call_retries: Histogram<u64>,
    call_transparent_retries: Histogram<u64>,
    call_hedges: Histogram<u64>,
    call_retry_delay: Histogram<f64>,
    mirror_calls: Counter<u64>,
    retries_refused: Counter<u64>,
    ejections_enforced: Counter<u64>,
    ejections_unenforced: Counter<u64>,
    breaker_opened: Counter<u64>,
    policy_refused: Counter<u64>,
    server_started: Counter<u64>,
    server_duration: Histogram<f64>,
    server_sent: Histogram<u64>,
    server_received: Histogram<u64>,
    server_connections: UpDownCounter<i64>,
}

impl Metrics {
    pub(crate) fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("selvedge");
        Self { instruments: Arc::new(Instruments::new(&meter)), gauges: Gauges::new(&meter) }
    }

    /// Returns what is looked at whenever the metrics are read.
    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    pub(crate) fn attempt_started(&self, labels: &AttemptLabels) {
        let counter = &self.instruments.attempt_started;
        match &labels.bound {
            Some(bound) => bound.started.get_or_init(|| counter.bind(&labels.bare())).add(1),
            None => counter.add(1, &labels.bare()),
        }
    }

    pub(crate) fn attempt_ended(&self, labels: &AttemptLabels, code: Code, took: Duration, bytes: Bytes) {
        let Instruments { attempt_duration, attempt_sent, attempt_received, .. } = &*self.instruments;
        let instruments = Ending { duration: attempt_duration, sent: attempt_sent, received: attempt_received };
        match &labels.bound {
            Some(bound) => instruments.bound(&bound.ended[code as usize], || labels.with(code)).record(took, bytes),
            None => instruments.record(&labels.with(code), took, bytes),
        }
    }

    pub(crate) fn call_ended(&self, labels: &AttemptLabels, code: Code, took: Duration) {
        let histogram = &self.instruments.call_duration;
        let took = took.as_secs_f64();
        match &labels.bound {
            Some(bound) => bound.call[code as usize].get_or_init(|| histogram.bind(&labels.with(code))).record(took),
            None => histogram.record(took, &labels.with(code)),
        }
    }

    /// Notes what the attempts of one call after its first came to; of a call without any, nothing (gRFC A96).
    pub(crate) fn retried(&self, labels: &AttemptLabels, retries: Retries) {
        if retries == Retries::default() {
            return;
        }
        let labels = labels.bare();
        if retries.repeated > 0 {
            self.instruments.call_retries.record(retries.repeated, &labels);
        }
        if retries.transparent > 0 {
            self.instruments.call_transparent_retries.record(retries.transparent, &labels);
        }
        if retries.repeated + retries.transparent > 0 {
            self.instruments.call_retry_delay.record(retries.waited.as_secs_f64(), &labels);
        }
    }

    /// Notes how many attempts of one call were made beside its first; of a call without any, nothing (gRFC A96).
    pub(crate) fn hedged(&self, labels: &AttemptLabels, hedges: u64) {
        if hedges > 0 {
            self.instruments.call_hedges.record(hedges, &labels.bare());
        }
    }

    /// Counts the copy of a call by what came of it: it was answered or failed, or was dropped because too many are under
    /// way.
    pub(crate) fn mirrored(&self, service: &str, result: &'static str) {
        let labels =
            [KeyValue::new("grpc.target", service.to_owned()), KeyValue::new("selvedge.mirror.result", result)];
        self.instruments.mirror_calls.add(1, &labels);
    }

    /// Counts a retry that the budget did not allow.
    pub(crate) fn retry_refused(&self, labels: &AttemptLabels) {
        self.instruments.retries_refused.add(1, std::slice::from_ref(&labels.target));
    }

    /// Counts an ejection that was found right, and whether it came to pass (gRFC A91).
    pub(crate) fn ejection(&self, target: &KeyValue, found_by: &'static str, enforced: bool) {
        let found_by = KeyValue::new("grpc.lb.outlier_detection.detection_method", found_by);
        if enforced {
            return self.instruments.ejections_enforced.add(1, &[target.clone(), found_by]);
        }
        let reason = KeyValue::new("grpc.lb.outlier_detection.unenforced_reason", "max_ejection_overflow");
        self.instruments.ejections_unenforced.add(1, &[target.clone(), found_by, reason]);
    }

    /// Counts a document of the operator that cannot be kept.
    pub(crate) fn policy_refused(&self, service: &str) {
        self.instruments.policy_refused.add(1, &[KeyValue::new("grpc.target", service.to_owned())]);
    }

    pub(crate) fn breaker_opened(&self, target: &KeyValue) {
        self.instruments.breaker_opened.add(1, std::slice::from_ref(target));
    }

    pub(crate) fn server_started(&self, labels: &ServerLabels) {
        let bind = || self.instruments.server_started.bind(std::slice::from_ref(&labels.method));
        labels.bound.started.get_or_init(bind).add(1);
    }

    pub(crate) fn server_ended(&self, labels: &ServerLabels, code: Code, took: Duration, bytes: Bytes) {
        let Instruments { server_duration, server_sent, server_received, .. } = &*self.instruments;
        let instruments = Ending { duration: server_duration, sent: server_sent, received: server_received };
        instruments.bound(&labels.bound.ended[code as usize], || labels.with(code)).record(took, bytes);
    }

    /// Counts a connection that came in, until what is returned is dropped.
    pub(crate) fn server_connection(&self) -> Connected {
        self.instruments.server_connections.add(1, &[]);
        Connected { metrics: self.clone() }
    }
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        Self {
            attempt_started: count(meter, "grpc.client.attempt.started", "{attempt}"),
            attempt_duration: seconds(meter, "grpc.client.attempt.duration"),
            attempt_sent: bytes(meter, "grpc.client.attempt.sent_total_compressed_message_size"),
            attempt_received: bytes(meter, "grpc.client.attempt.rcvd_total_compressed_message_size"),
            call_duration: seconds(meter, "grpc.client.call.duration"),
            call_retries: each(meter, "grpc.client.call.retries", "{retry}"),
            call_transparent_retries: each(meter, "grpc.client.call.transparent_retries", "{transparent_retry}"),
            call_hedges: each(meter, "grpc.client.call.hedges", "{hedge}"),
            call_retry_delay: seconds(meter, "grpc.client.call.retry_delay"),
            mirror_calls: count(meter, "selvedge.mirror.calls", "{call}"),
            retries_refused: count(meter, "selvedge.retry.refused", "{retry}"),
            ejections_enforced: count(meter, "grpc.lb.outlier_detection.ejections_enforced", "{ejection}"),
            ejections_unenforced: count(meter, "grpc.lb.outlier_detection.ejections_unenforced", "{ejection}"),
            breaker_opened: count(meter, "selvedge.breaker.opened", "{breaker}"),
            policy_refused: count(meter, "selvedge.policy.refused", "{document}"),
            server_started: count(meter, "grpc.server.call.started", "{call}"),
            server_duration: seconds(meter, "grpc.server.call.duration"),
            server_sent: bytes(meter, "grpc.server.call.sent_total_compressed_message_size"),
            server_received: bytes(meter, "grpc.server.call.rcvd_total_compressed_message_size"),
            server_connections: meter
                .i64_up_down_counter("selvedge.server.connections")
                .with_unit("{connection}")
                .with_description(described("selvedge.server.connections"))
                .build(),
        }
    }
}

fn count(meter: &Meter, name: &'static str, unit: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_unit(unit).with_description(described(name)).build()
}

fn seconds(meter: &Meter, name: &'static str) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name).with_unit("s").with_description(described(name));
    histogram.with_boundaries(LATENCY.to_vec()).build()
}

fn bytes(meter: &Meter, name: &'static str) -> Histogram<u64> {
    let histogram = meter.u64_histogram(name).with_unit("By").with_description(described(name));
    histogram.with_boundaries(SIZE.to_vec()).build()
}

fn each(meter: &Meter, name: &'static str, unit: &'static str) -> Histogram<u64> {
    let histogram = meter.u64_histogram(name).with_unit(unit).with_description(described(name));
    histogram.with_boundaries(RETRIES.to_vec()).build()
}

/// The instruments of what ended.
struct Ending<'a> {
    duration: &'a Histogram<f64>,
    sent: &'a Histogram<u64>,
    received: &'a Histogram<u64>,
}

impl Ending<'_> {
    /// Returns those that are bound to the labels.
    fn bound<'b, const N: usize>(&self, place: &'b OnceLock<Ended>, labels: impl Fn() -> [KeyValue; N]) -> &'b Ended {
        place.get_or_init(|| {
            let labels = labels();
            Ended {
                duration: self.duration.bind(&labels),
                sent: self.sent.bind(&labels),
                received: self.received.bind(&labels),
            }
        })
    }

    fn record(&self, labels: &[KeyValue], took: Duration, bytes: Bytes) {
        self.duration.record(took.as_secs_f64(), labels);
        self.sent.record(bytes.sent, labels);
        self.received.record(bytes.received, labels);
    }
}

impl Ended {
    fn record(&self, took: Duration, bytes: Bytes) {
        self.duration.record(took.as_secs_f64());
        self.sent.record(bytes.sent);
        self.received.record(bytes.received);
    }
}

/// What the attempts of one call after its first came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retries {
    /// Those that a server may have seen, but for the last.
    pub(crate) repeated: u64,
    /// Those that no server acted on.
    pub(crate) transparent: u64,
    /// The time in which none of them was under way.
    pub(crate) waited: Duration,
}

/// One connection that came in.
#[derive(Debug)]
pub(crate) struct Connected {
    metrics: Metrics,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.metrics.instruments.server_connections.add(-1, &[]);
    }
}

/// Bytes of the messages of one attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) sent: u64,
    pub(crate) received: u64,
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

/// Bucket bounds of retries for each call (gRFC A96).
const RETRIES: [f64; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
