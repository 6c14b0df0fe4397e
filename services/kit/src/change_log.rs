//! The changes of a service's resources, one after the other, for those who watch them through any instance.

mod follow;

mod log;

pub use self::{
    follow::Follower,
    log::{Change, Kind, ReadError, TABLES, append, compact, newest, since},
};
