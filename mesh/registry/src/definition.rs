//! The JSON of a registration: read as Consul reads it, checked, and given its defaults.

mod check;
mod fields;
mod service;

pub(crate) use crate::definition::{
    check::{CheckDefinition, Probe, Target, check_registration, check_update},
    service::{Registration, service_registration},
};
