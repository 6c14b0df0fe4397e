//! The catalog and its indexes: plain data, changed by pure rules; time comes in as an argument.
//!
//! Each change counts the index up once. A resource has the index of its last change, so that a blocking read
//! wakes for its own resource only: a service for its instances and their checks, a service that nobody has for
//! the last end of any service, all checks together, all names of services together.

mod data;
mod pairs;
mod places;
mod table;

mod external;
mod services;

mod checks;
mod time;

pub(crate) use crate::state::{
    data::{CheckEntry, Entry, External, Indexes, REAP_FLOOR, State},
    pairs::{Pair, Pairs, Put},
    places::{Deciding, Place},
};

#[cfg(test)]
mod tests;
