//! The admin listener of an instance, if it has one of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio_util::task::AbortOnDropHandle;

use crate::{config::AdminConfig, error::Error, telemetry::Telemetry};

/// Metadata of the registration that tells where the admin listener is.
const META: &str = "selvedge-admin";

/// A listener that is served until this is dropped.
#[derive(Debug)]
pub(crate) struct Admin {
    address: Option<SocketAddr>,
    _serving: Option<AbortOnDropHandle<Result<(), Error>>>,
}

impl Admin {
    /// Listens where the settings say, if they say so.
    pub(crate) async fn start(config: &AdminConfig, telemetry: &Telemetry) -> Result<Self, Error> {
        let Some(listen) = config.listen else { return Ok(Self { address: config.address, _serving: None }) };
        let listener = Telemetry::bind_admin(listen).await?;
        let address = config.address.or_else(|| listener.local_addr().ok());
        let telemetry = telemetry.clone();
        // What it ends with nobody waits for: a listener that failed cannot be mended by its instance.
        let serving =
            tokio::spawn(
                async move { telemetry.serve_admin(listener, axum::Router::new(), std::future::pending()).await },
            );
        Ok(Self { address, _serving: Some(AbortOnDropHandle::new(serving)) })
    }

    /// Returns what the instance is registered with, so that others find it.
    pub(crate) fn meta(&self) -> BTreeMap<String, String> {
        self.address.iter().map(|address| (META.to_owned(), address.to_string())).collect()
    }
}
