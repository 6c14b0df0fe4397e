//! STUB: the HTTP client of Consul.

use crate::{config::RegistryConfig, error::Error};

/// Consul's agent, or the embedded registry, at a URL.
#[derive(Clone, Debug)]
pub(crate) struct Consul {}

impl Consul {
    pub(crate) fn new(config: &RegistryConfig) -> Result<Self, Error> {
        config.url()?;
        Ok(Self {})
    }
}
