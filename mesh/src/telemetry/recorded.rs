//! Spans and metrics as tests see them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SimpleSpanProcessor, SpanData, SpanExporter},
};

use crate::telemetry::span::Tracer;

/// Spans that ended, in that order. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded(Arc<Mutex<Vec<SpanData>>>);

impl Recorded {
    /// Returns a tracer whose spans are seen here.
    pub(crate) fn tracer(&self, sample: f64) -> Tracer {
        let processor = SimpleSpanProcessor::new(self.clone());
        Tracer::new(SdkTracerProvider::builder().with_span_processor(processor).build(), sample)
    }

    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }
}

impl SpanExporter for Recorded {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
