//! Copies of resources that are read by name, so that most of these reads need no database: none, in the process, or in
//! Redis.
//!
//! A copy is never a source of errors, and never older than a write that was answered, as long as the cache can be
//! reached: a write puts its state in before it answers, and a state goes in only over an older one. After the cache was
//! away, a copy may be as old as its time to live.

mod copies;

mod loads;
mod measure;

mod place;

mod memory;
mod redis;
mod standing;

mod args;

mod entry;
mod location;

pub use self::{
    args::Args,
    copies::{Copies, Kind},
    entry::{Version, Versioned},
    location::{Limits, Location, Options, ParseError, Server},
    memory::Memory,
    place::Cache,
};

#[cfg(test)]
mod tests;
