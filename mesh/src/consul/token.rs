//! Where the ACL token of a request comes from.

use std::{fs, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    config::{RegistryConfig, Secret},
    consul::login::Login,
    error::Error,
};

/// Where the ACL token comes from. A file goes before a value, as in Consul's own tools.
#[derive(Clone, Debug)]
pub(crate) enum Token {
    None,
    Value(Secret),
    File(Arc<TokenFile>),
    Login(Arc<Login>),
}

/// A file that somebody may replace; the last token that could be read stays in use.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    last: ArcSwap<Secret>,
}

impl Token {
    pub(crate) fn new(config: &RegistryConfig) -> Result<Self, Error> {
        if let Some(path) = &config.login.bearer_token_file {
            return Ok(Self::Login(Arc::new(Login::new(&config.login, path))));
        }
        if let Some(path) = &config.token_file {
            let text = fs::read_to_string(path).map_err(|error| {
                Error::config("registry.token_file", &format!("cannot read {}: {error}", path.display()))
            })?;
            let last = ArcSwap::from_pointee(Secret::new(text.trim()));
            return Ok(Self::File(Arc::new(TokenFile { path: path.clone(), last })));
        }
        let value = config.token.clone().filter(|token| !token.expose().is_empty());
        Ok(value.map_or(Self::None, Self::Value))
    }
}

impl TokenFile {
    /// Reads it each time: a request to Consul is rare, and a stale token would be refused. Nothing if it is empty.
    pub(crate) async fn read(&self) -> Option<Secret> {
        match tokio::fs::read_to_string(&self.path).await {
            Ok(text) if !text.trim().is_empty() => self.last.store(Arc::new(Secret::new(text.trim()))),
            Ok(_) => {}
            Err(error) => tracing::debug!(path = %self.path.display(), %error, "token file cannot be read"),
        }
        Some(Secret::clone(&self.last.load())).filter(|token| !token.expose().is_empty())
    }
}
