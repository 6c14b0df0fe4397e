//! The JSON of a registration: read as Consul reads it, checked, and given its defaults.

mod check;
mod external;
mod fields;
mod service;

pub(crate) use crate::definition::{
    check::{CheckDefinition, Probe, Target, check_registration, check_update},
    external::{ExternalRegistration, ExternalRemoval, external_registration, external_removal},
    service::{Registration, service_registration},
};
