//! Exchanges for a while, and notes how long each took and what it cost the proxy.

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::{
    cpu,
    figures::Figures,
    gateway::{arms::Arm, client::Client, exchange::Exchange},
};

/// What is noted of each workload and arm, and its unit. `cpu` is that of the proxy alone for one request, `server_cpu`
/// that of the server behind it; tonic-web is in the server, and has both as one.
pub(crate) const METRICS: [(&str, &str); 5] =
    [("rps", "1/s"), ("p50", "us"), ("p99", "us"), ("cpu", "us"), ("server_cpu", "us")];

/// Connections at once, each with one request at a time.
const CONNECTIONS: usize = 32;
/// Exchanges of each connection before anything is measured.
const WARM: usize = 10;

/// What one arm did in one round.
#[derive(Debug)]
pub(crate) struct Measured {
    latency: Histogram<u64>,
    took: Duration,
    proxy: Duration,
    server: Duration,
}

/// Makes exchanges for a while; every connection has its own histogram.
pub(crate) async fn measure(arm: &Arm, exchange: &Exchange, span: Duration) -> anyhow::Result<Measured> {
    let exchange = Arc::new(exchange.clone());
    let warm = (0..CONNECTIONS).map(|_| async {
        let mut client = Client::open(arm.address, &exchange).await?;
        for _ in 0..WARM {
            client.again(&exchange).await?;
        }
        anyhow::Ok(client)
    });
    let clients = try_join_all(warm).await?;
    let used = || anyhow::Ok((cpu::used(arm.proxy)?, cpu::used(arm.server)?));
    let before = used()?;
    let began = Instant::now();
    let workers = clients.into_iter().map(|mut client| {
        let exchange = Arc::clone(&exchange);
        tokio::spawn(async move {
            let mut latency = Histogram::<u64>::new(3)?;
            while began.elapsed() < span {
                let start = Instant::now();
                client.again(&exchange).await?;
                latency.record(u64::try_from(start.elapsed().as_nanos())?)?;
            }
            anyhow::Ok(latency)
        })
    });
    let mut latency = Histogram::<u64>::new(3)?;
    for worker in try_join_all(workers).await? {
        latency.add(worker?)?;
    }
    let took = began.elapsed();
    let after = used()?;
    Ok(Measured { latency, took, proxy: after.0 - before.0, server: after.1 - before.1 })
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn note(&self, figures: &mut Figures, workload: &str, arm: &str) {
        let requests = self.latency.len() as f64;
        let micros = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1_000.0;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / requests;
        let rps = requests / self.took.as_secs_f64();
        let values = [rps, micros(0.5), micros(0.99), each(self.proxy), each(self.server)];
        for ((metric, unit), value) in METRICS.into_iter().zip(values) {
            figures.add(format!("{workload}.{arm}.{metric}"), value, unit);
        }
    }
}
