//! How calls are made, by value: what a policy can say, its defaults, and what protos say of it.

pub(crate) mod cluster;
pub(crate) mod codes;
pub(crate) mod method;
pub(crate) mod options;
