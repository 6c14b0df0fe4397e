//! `cargo run`: registry, two instances of each service, and the gateway, in one process.
//!
//! Each part is started through its library entry, as its own program would start it, and reaches the others
//! through the registry only.

mod options;
mod seed;
mod stack;
mod tour;

use std::{io::Write as _, process::ExitCode};

use selvedge::Telemetry;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use crate::{options::Options, stack::Stack};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match selvedge_kit::program::parse::<Options>() {
        Ok(options) => options,
        Err(code) => return code,
    };
    if let Err(error) = selvedge_kit::logs::start(options.log_format, &options.log) {
        eprintln!("error: --log: {error}");
        return ExitCode::FAILURE;
    }
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut stop = StopSignal::new()?;
    let data_dir = options.data_dir()?;
    let telemetry = Telemetry::exporting("local", &options.telemetry())?;
    let data = options.data(&data_dir)?;
    if let Some(products) = options.seed {
        let seeded = tokio::select! {
            seeded = seed::run(options, &data_dir, products) => seeded?,
            () = stop.received() => return Ok(()),
        };
        say(&seeded)?;
    }
    let mut stack = tokio::select! {
        started = Stack::start(options, &data_dir, &telemetry) => started?,
        () = stop.received() => return Ok(()),
    };

    say(&tour::text(&stack, &data))?;
    let served = tokio::select! {
        answered = tour::first_calls(stack.gateway) => answered,
        () = stop.received() => return drained(stack, Ok(())).await,
    };
    if let Err(error) = served {
        return drained(stack, Err(error)).await;
    }
    say(&format!("ready in {} ms\n", began.elapsed().as_millis()))?;

    let ended = tokio::select! {
        () = stop.received() => Ok(()),
        error = stack.failed() => Err(error),
    };
    drained(stack, ended).await
}

async fn drained(stack: Stack, result: anyhow::Result<()>) -> anyhow::Result<()> {
    say("draining: gateway, services, registry\n")?;
    stack.drain().await;
    result
}

/// Prints at once, also into a pipe.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Ctrl-C or SIGTERM.
struct StopSignal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
