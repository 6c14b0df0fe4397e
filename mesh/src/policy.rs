//! How calls are made, by value: what a policy can say, its defaults, and what protos and operators say of it.

pub(crate) mod affinity;
pub(crate) mod cluster;
pub(crate) mod codes;
pub(crate) mod hash_field;
pub(crate) mod hedge;
pub(crate) mod method;
pub(crate) mod schema;

pub(crate) mod mirror;
pub(crate) mod options;

pub(crate) mod check;
pub(crate) mod document;
pub(crate) mod feed;
pub(crate) mod live;
