//! `selvedge explain`: asks the admin listener of a caller why a call goes where it goes.

use std::{
    collections::BTreeMap,
    io::{Write as _, stdout},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Client, Url};
use selvedge::{Config, RegistryConfig};
use serde::{Deserialize, de::DeserializeOwned};

/// Where the gateway, and `cargo run`, have their admin listener.
const GATEWAY: &str = "http://127.0.0.1:8081";
/// Metadata of a registration that names the admin listener of the instance.
const META: &str = "selvedge-admin";
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What `selvedge explain` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The service and the method, as in users/GetUser or users/selvedge.users.v1.UserService/GetUser; or the service
    /// alone.
    target: Target,
    /// The admin listener of the caller [default: the gateway's at http://127.0.0.1:8081, or else those that callers
    /// are registered with].
    #[arg(long, env = "SELVEDGE_ADMIN_URL", value_name = "URL")]
    admin: Option<Url>,
    /// The service that calls; its instances are asked for at the registry.
    #[arg(long, value_name = "SERVICE")]
    caller: Option<String>,
    /// Where Consul is [env: CONSUL_HTTP_ADDR] [default: http://127.0.0.1:8500].
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// A header of the call, which may lead it elsewhere; may be repeated.
    #[arg(long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A service, and perhaps a method of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    service: String,
    method: Option<String>,
}

impl std::str::FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, method) = text.split_once('/').map_or((text, ""), |(service, method)| (service, method));
        if service.is_empty() {
            return Err("expected a service and a method, as in users/GetUser");
        }
        Ok(Self { service: service.to_owned(), method: Some(method.to_owned()).filter(|method| !method.is_empty()) })
    }
}

/// What was answered.
enum Answer {
    Explained(String),
    /// There is nothing to explain there, because of this.
    Refused(String),
}

/// Asks, and prints what was answered.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let mut tried = Vec::new();
    for admin in admins(&options, &client).await? {
        let answer = ask(&client, &admin, &options).await;
        match answer {
            Ok(Answer::Explained(text)) => return Ok(stdout().write_all(text.as_bytes())?),
            Ok(Answer::Refused(why)) => tried.push(format!("{admin}: {}", why.trim())),
            Err(error) => tried.push(format!("{admin}: {error:#}")),
        }
    }
    let service = &options.target.service;
    if tried.is_empty() {
        bail!("nobody was found that calls {service:?}: name the admin listener of a caller with --admin");
    }
    bail!("nobody explains a call of {service:?}:\n  {}", tried.join("\n  "))
}

/// Returns whom to ask, in order.
async fn admins(options: &Options, client: &Client) -> anyhow::Result<Vec<Url>> {
    if let Some(admin) = &options.admin {
        return Ok(vec![admin.clone()]);
    }
    let registry = Registry::new(options, client.clone())?;
    if let Some(caller) = &options.caller {
        let found = registry.admins(caller).await?;
        if found.is_empty() {
            bail!("no instance of {caller:?} is registered with an admin listener: name one with --admin");
        }
        return Ok(found);
    }
    let mut all = vec![Url::parse(GATEWAY).context("the gateway's address")?];
    // Without a registry there is still the gateway.
    for service in registry.services().await.unwrap_or_default() {
        all.extend(registry.admins(&service).await.unwrap_or_default());
    }
    all.dedup();
    Ok(all)
}

async fn ask(client: &Client, admin: &Url, options: &Options) -> anyhow::Result<Answer> {
    let Options { target, headers, json, .. } = options;
    let mut url = admin.join("/explain").context("the address of the admin listener")?;
    let mut query = vec![("service", target.service.as_str())];
    query.extend(target.method.iter().map(|method| ("method", method.as_str())));
    query.extend(headers.iter().map(|header| ("header", header.as_str())));
    query.extend(json.then_some(("format", "json")));
    url.query_pairs_mut().extend_pairs(query);
    let answer = client.get(url).send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        return Ok(Answer::Explained(text));
    }
    // What is no admin listener says nothing of use.
    Ok(Answer::Refused(if text.is_empty() { format!("no admin listener of a mesh ({status})") } else { text }))
}

/// Consul, as far as callers are found there.
struct Registry {
    base: Url,
    token: Option<String>,
    client: Client,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    service: Instance,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    meta: Option<BTreeMap<String, String>>,
}

impl Registry {
    fn new(options: &Options, client: Client) -> anyhow::Result<Self> {
        let mut config: RegistryConfig = Config::from_env("cli")?.registry;
        if let Some(address) = &options.registry {
            config.address.clone_from(address);
        }
        let token = config.token.as_ref().map(|token| token.expose().to_owned());
        Ok(Self { base: config.url()?, token, client })
    }

    async fn services(&self) -> anyhow::Result<Vec<String>> {
        let all: BTreeMap<String, Option<Vec<String>>> = self.get("v1/catalog/services").await?;
        Ok(all.into_keys().collect())
    }

    async fn admins(&self, service: &str) -> anyhow::Result<Vec<Url>> {
        let entries: Vec<Entry> = self.get(&format!("v1/health/service/{service}?passing")).await?;
        let addresses = entries.into_iter().filter_map(|entry| entry.service.meta?.remove(META));
        Ok(addresses.filter_map(|address| Url::parse(&format!("http://{address}")).ok()).collect())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let mut request = self.client.get(self.base.join(path)?);
        if let Some(token) = &self.token {
            request = request.header("X-Consul-Token", token);
        }
        let told = || format!("cannot ask the registry at {}", self.base);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).with_context(told)?;
        answer.json().await.with_context(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_service_and_perhaps_a_method() {
        for (text, service, method) in [
            ("users", "users", None),
            ("users/", "users", None),
            ("users/GetUser", "users", Some("GetUser")),
            ("users/pkg.v1.Users/GetUser", "users", Some("pkg.v1.Users/GetUser")),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.service.as_str(), target.method.as_deref()), (service, method), "{text}");
        }
        assert!("/GetUser".parse::<Target>().is_err() && "".parse::<Target>().is_err());
    }
}
