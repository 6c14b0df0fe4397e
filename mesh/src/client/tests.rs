//! The client path over real sockets, against stub servers that behave in all sorts of ways.

pub(crate) mod mock;
mod raw;
mod standing;
mod support;

mod affinity;
mod connections;
mod contract;
mod discovery;
mod explain;
mod failures;
mod flow;
mod goaway;
mod matrix;
mod measured;
mod simulation;
