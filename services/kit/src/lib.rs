//! What the services share: how a program starts, how its database is opened, and the rules of the AIPs
//! (<https://google.aip.dev>) for names, pages, masks, etags and errors.

pub mod program;

mod options;
mod readiness;
mod service;

pub mod change_log;
pub mod once;

pub mod cache;
pub mod database;
pub mod logs;

pub mod field;
pub mod list;
pub mod page;

mod filter;
mod order;
mod time_text;

pub mod details;
pub mod etag;
pub mod mask;
pub mod name;
pub mod text;
pub mod time;
pub mod token;
pub mod violation;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::{
    options::{Options, RunError},
    service::{Joined, Service},
};
