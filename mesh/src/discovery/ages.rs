//! How old the last good answer of each watch is: the metric `selvedge.discovery.age`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use tokio::time::Instant;

use crate::telemetry::Telemetry;

type Answers = HashMap<String, Instant>;

/// When each watch was answered last. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ages {
    answers: Arc<Mutex<Answers>>,
}

/// The age of one watch, which is measured until this is dropped.
#[derive(Debug)]
pub(crate) struct Age {
    ages: Ages,
    watch: String,
}

impl Ages {
    /// Makes the ages of one service's mesh, and measures them.
    pub(crate) fn measured(telemetry: &Telemetry, mesh: &str) -> Self {
        let ages = Self::default();
        // The instruments outlive the mesh.
        let answers = Arc::downgrade(&ages.answers);
        let mesh = mesh.to_owned();
        let meter = telemetry.provider().meter("selvedge");
        let gauge = meter.f64_observable_gauge("selvedge.discovery.age");
        let gauge = gauge.with_unit("s").with_description("Time since the last good answer of a watch, or its begin");
        let _registered = gauge
            .with_callback(move |observer| {
                let Some(answers) = answers.upgrade() else { return };
                let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                for (watch, at) in answers.iter() {
                    let labels =
                        [KeyValue::new("selvedge.mesh", mesh.clone()), KeyValue::new("selvedge.watch", watch.clone())];
                    observer.observe(at.elapsed().as_secs_f64(), &labels);
                }
            })
            .build();
        ages
    }

    /// Begins to measure a watch.
    pub(crate) fn begin(&self, watch: String) -> Age {
        self.answers().insert(watch.clone(), Instant::now());
        Age { ages: self.clone(), watch }
    }

    /// Returns how long ago a watch was answered last, while it runs.
    pub(crate) fn of(&self, watch: &str) -> Option<Duration> {
        self.answers().get(watch).map(Instant::elapsed)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Age {
    /// Takes note of a good answer, whether or not it was news.
    pub(crate) fn answered(&self) {
        if let Some(at) = self.ages.answers().get_mut(&self.watch) {
            *at = Instant::now();
        }
    }
}

impl Drop for Age {
    fn drop(&mut self) {
        self.ages.answers().remove(&self.watch);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn shown(telemetry: &Telemetry) -> Option<String> {
        let text = telemetry.prometheus_text().unwrap();
        let line = text.lines().find(|line| line.starts_with("selvedge_discovery_age"));
        line.map(|line| line.rsplit(' ').next().unwrap().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_of_a_watch_is_shown_while_it_runs() {
        let telemetry = Telemetry::new().unwrap();
        let age = Ages::measured(&telemetry, "orders").begin("instances of users".into());
        advance(Duration::from_secs(70)).await;
        assert_eq!(shown(&telemetry).as_deref(), Some("70"));
        age.answered();
        advance(Duration::from_secs(5)).await;
        assert_eq!(shown(&telemetry).as_deref(), Some("5"));
        drop(age);
        assert_eq!(shown(&telemetry), None);
    }
}
