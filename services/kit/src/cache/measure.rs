//! How often a cache knew, did not know, or did not answer.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, MeterProvider as _},
};
use selvedge::Telemetry;

use crate::cache::redis::Silence;

/// The counters of a cache.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    reads: Counter<u64>,
    puts: Counter<u64>,
}

/// How a read went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Hit,
    Miss,
    Silent(Silence),
}

impl Measure {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let meter = telemetry.provider().meter("selvedge");
        let reads = meter.u64_counter("selvedge.cache.reads").with_description("Reads by name, by what the cache knew");
        let puts = meter.u64_counter("selvedge.cache.puts").with_description("Entries given to the cache");
        Self { reads: reads.build(), puts: puts.build() }
    }

    pub(crate) fn read(&self, collection: &'static str, read: Read) {
        let result = match read {
            Read::Hit => "hit",
            Read::Miss => "miss",
            Read::Silent(silence) => name(silence),
        };
        let labels = [KeyValue::new("selvedge.collection", collection), KeyValue::new("selvedge.result", result)];
        self.reads.add(1, &labels);
    }

    pub(crate) fn put(&self, cause: &'static str, silence: Option<Silence>) {
        let result = silence.map_or("ok", name);
        self.puts.add(1, &[KeyValue::new("selvedge.cause", cause), KeyValue::new("selvedge.result", result)]);
    }
}

fn name(silence: Silence) -> &'static str {
    match silence {
        Silence::Failed => "error",
        Silence::Away => "away",
    }
}
