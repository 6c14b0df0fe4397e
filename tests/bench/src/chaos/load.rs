//! Calls that begin at a steady pace, whatever becomes of those before (an open loop).

use std::time::Duration;

use bytes::Bytes;
use selvedge::{CallOptions, Channel};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tonic::Request;

use crate::echo::pb::{EchoRequest, echo_service_client::EchoServiceClient};

/// What is called, how, and how often.
#[derive(Debug)]
pub(crate) struct Load<T> {
    pub(crate) channel: T,
    pub(crate) options: CallOptions,
    /// Calls a second.
    pub(crate) rate: f64,
}

/// What became of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    /// When it was due, from the begin.
    pub(crate) due: Duration,
    /// From when it was due to its end: a call that begins late waited, too.
    pub(crate) took: Duration,
    pub(crate) ok: bool,
}

impl Load<Channel> {
    /// Calls for a while, and waits for the last call.
    pub(crate) async fn run(&self, span: Duration) -> anyhow::Result<Vec<Noted>> {
        let began = Instant::now();
        let mut pace = interval_at(began, Duration::from_secs_f64(1.0 / self.rate));
        // Those that were missed are made up for at once: they were due.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut calls, mut noted) = (JoinSet::new(), Vec::new());
        loop {
            let due = pace.tick().await;
            if due - began >= span {
                break;
            }
            calls.spawn(call(self.channel.clone(), self.options, (began, due)));
            while let Some(ended) = calls.try_join_next() {
                noted.push(ended?);
            }
        }
        while let Some(ended) = calls.join_next().await {
            noted.push(ended?);
        }
        Ok(noted)
    }
}

async fn call(channel: Channel, options: CallOptions, (began, due): (Instant, Instant)) -> Noted {
    let mut request = Request::new(EchoRequest { payload: Bytes::from_static(&[7; 100]) });
    request.extensions_mut().insert(options);
    let ok = EchoServiceClient::new(channel).echo(request).await.is_ok();
    Noted { due: due - began, took: due.elapsed(), ok }
}
