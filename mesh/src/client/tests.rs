//! The client path over real sockets, against stub servers that behave in all sorts of ways.

pub(crate) mod mock;
mod standing;
mod support;

mod connections;
mod contract;
mod discovery;
mod failures;
mod flow;
