//! What is printed for the one who started the stack: what runs where, and what to try.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};

use crate::stack::Stack;

/// Paths that each need one service to answer.
const FIRST_CALLS: [&str; 2] = ["/v1/users?page_size=1", "/v1/products?page_size=1"];

/// How long the gateway may take to learn the services.
const LEARN_LIMIT: Duration = Duration::from_secs(30);

/// Returns the text: what runs where, and what to try.
pub(crate) fn text(stack: &Stack, data: &str) -> String {
    let Stack { registry_url, gateway, admin, users, catalog, .. } = stack;
    let kind = if stack.embedded { "embedded, speaks Consul's HTTP API" } else { "Consul" };
    let (users, catalog) = (list(users), list(catalog));
    format!(
        r#"Selvedge runs:
  registry  {registry_url} ({kind})
  gateway   http://{gateway}
  admin     http://{admin}/metrics
  users     {users}
  catalog   {catalog}
  data      {data}

Try in another terminal:
  curl -X POST 'http://{gateway}/v1/users?user_id=ada-1815' -H 'content-type: application/json' -d '{{"display_name":"Ada","email":"ada@example.com"}}'
  curl http://{gateway}/v1/users/ada-1815
  grpcurl -plaintext {gateway} list
  grpcurl -plaintext -d '{{"name":"users/ada-1815"}}' {gateway} selvedge.users.v1.UserService/GetUser
  curl {registry_url}/v1/catalog/services
"#
    )
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Waits until each service has answered one call through the gateway.
pub(crate) async fn first_calls(gateway: SocketAddr) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    for path in FIRST_CALLS {
        let url = format!("http://{gateway}{path}");
        tokio::time::timeout(LEARN_LIMIT, answered(&client, &url))
            .await
            .with_context(|| format!("{url} was not answered within {} s", LEARN_LIMIT.as_secs()))??;
    }
    Ok(())
}

async fn answered(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    loop {
        let status = client.get(url).send().await.with_context(|| format!("{url} cannot be asked"))?.status();
        match status.as_u16() {
            200 => return Ok(()),
            // The gateway has not learned the service yet, or has no connection to it yet.
            404 | 503 => tokio::time::sleep(Duration::from_millis(10)).await,
            other => bail!("{url} answered {other}"),
        }
    }
}
