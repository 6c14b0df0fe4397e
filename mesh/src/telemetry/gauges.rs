//! What is looked at whenever the metrics are read: how endpoints stand, connections, costs, budgets.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use opentelemetry::{KeyValue, metrics::Meter};

use crate::telemetry::descriptions::described;

/// One of the gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gauge {
    /// Endpoints of a service that stand in one way.
    Endpoints,
    /// Connections to a service.
    Connections,
    /// What a call costs at one end of the range.
    Cost,
    /// Retries that are left.
    Budget,
}

/// One value of a gauge.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) gauge: Gauge,
    pub(crate) labels: Vec<KeyValue>,
    pub(crate) value: f64,
}

/// What can be looked at.
pub(crate) trait Readable: fmt::Debug + Send + Sync {
    /// Returns the values of now.
    fn read(&self) -> Vec<Reading>;
}

/// All that is looked at, as long as it lives. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    sources: Arc<Mutex<Vec<Weak<dyn Readable>>>>,
}

impl Gauges {
    pub(crate) fn new(meter: &Meter) -> Self {
        let gauges = Self::default();
        for (gauge, name, unit) in [
            (Gauge::Endpoints, "selvedge.client.endpoints", "{endpoint}"),
            (Gauge::Connections, "selvedge.client.connections", "{connection}"),
            (Gauge::Cost, "selvedge.balance.cost", "s"),
            (Gauge::Budget, "selvedge.retry.budget", "{retry}"),
        ] {
            let sources = gauges.clone();
            let instrument = meter.f64_observable_gauge(name).with_unit(unit).with_description(described(name));
            let _registered = instrument
                .with_callback(move |observer| {
                    for reading in sources.read().iter().filter(|reading| reading.gauge == gauge) {
                        observer.observe(reading.value, &reading.labels);
                    }
                })
                .build();
        }
        gauges
    }

    /// Looks at this as well, until it is gone.
    pub(crate) fn add(&self, source: Weak<dyn Readable>) {
        let mut sources = self.sources();
        // Those that are gone are let go of here, or nobody would while nobody reads.
        sources.retain(|source| source.strong_count() > 0);
        sources.push(source);
    }

    fn read(&self) -> Vec<Reading> {
        let living: Vec<_> = self.sources().iter().filter_map(Weak::upgrade).collect();
        living.iter().flat_map(|source| source.read()).collect()
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Weak<dyn Readable>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
