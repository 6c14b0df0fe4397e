//! One call through everything, as a real receiver of OTLP sees it.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use selvedge_harness::{Collector, LIMIT, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stack::{self, Stack};

/// The spans of one creation of a product over REST: name, service, and which span stands above.
const SHAPE: [(&str, &str, Option<&str>); 7] = [
    ("POST rest", "gateway", None),
    ("Sent.selvedge.catalog.v1.CatalogService.CreateProduct", "gateway", Some("POST rest")),
    (
        "Attempt.selvedge.catalog.v1.CatalogService.CreateProduct",
        "gateway",
        Some("Sent.selvedge.catalog.v1.CatalogService.CreateProduct"),
    ),
    (
        "Recv.selvedge.catalog.v1.CatalogService.CreateProduct",
        "catalog",
        Some("Attempt.selvedge.catalog.v1.CatalogService.CreateProduct"),
    ),
    (
        "Sent.selvedge.users.v1.UserService.GetUser",
        "catalog",
        Some("Recv.selvedge.catalog.v1.CatalogService.CreateProduct"),
    ),
    ("Attempt.selvedge.users.v1.UserService.GetUser", "catalog", Some("Sent.selvedge.users.v1.UserService.GetUser")),
    ("Recv.selvedge.users.v1.UserService.GetUser", "users", Some("Attempt.selvedge.users.v1.UserService.GetUser")),
];

/// One span, as far as it matters here.
#[derive(Clone, Debug)]
struct Span {
    name: String,
    service: String,
    trace: String,
    id: String,
    parent: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rest_call_is_one_trace_from_the_gateway_to_the_last_service() -> anyhow::Result<()> {
    let Some(collector) = Collector::start().await? else { return Ok(()) };
    let data = TempDir::new()?;
    let (endpoint, folder) = (collector.endpoint(), stack::path(&data));
    let options = ["--registry-listen", "127.0.0.1:0", "--data-dir", folder, "--otlp-endpoint", &endpoint];
    let mut stack = Stack::start(&options).await?;
    create(&stack).await?;
    eventually(LIMIT, async || {
        let shape = shape(&spans(&collector.received()?));
        ensure!(
            shape.iter().map(|(name, service, above)| (&**name, &**service, above.as_deref())).eq(SHAPE),
            "{shape:#?}"
        );
        Ok(())
    })
    .await?;
    // The last metrics are sent when the program ends, long before the interval is over.
    stack.program.terminate()?;
    stack.program.wait(LIMIT).await?;
    let named = |name: &str| collector.received().map(|all| all.iter().any(|one| one.to_string().contains(name)));
    eventually(LIMIT, async || {
        ensure!(named("grpc.client.attempt.duration")?, "no metric came");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_is_told_of_once_and_nobody_waits_for_it() -> anyhow::Result<()> {
    let data = TempDir::new()?;
    let nobody = format!("http://127.0.0.1:{}", selvedge_harness::free_port()?);
    let folder = stack::path(&data);
    let options = ["--registry-listen", "127.0.0.1:0", "--data-dir", folder, "--otlp-endpoint", &nobody];
    let mut stack = Stack::start(&options).await?;
    create(&stack).await?;
    eventually(LIMIT, async || {
        ensure!(told(&stack) > 0, "nothing was said");
        Ok(())
    })
    .await?;
    for _ in 0..3 {
        reqwest::get(format!("{}/v1/users/ada-1815", stack.gateway)).await?.error_for_status()?;
    }
    stack.program.terminate()?;
    ensure!(stack.program.wait(LIMIT).await?.success(), "{}", stack.output());
    // Once for each of the five meshes in the process at most: two of users, two of catalog, the gateway.
    ensure!(told(&stack) <= 5, "{}", stack.output());
    Ok(())
}

/// Returns how often the program said that the receiver is gone.
fn told(stack: &Stack) -> usize {
    stack.output().matches("spans cannot be sent").count()
}

/// Creates a user, and a product whose owner that is: the catalog asks users.
async fn create(stack: &Stack) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let user = json!({"displayName": "Ada", "email": "ada@example.com"});
    let url = format!("{}/v1/users?user_id=ada-1815", stack.gateway);
    http.post(url).json(&user).send().await?.error_for_status()?;
    let price = json!({"currencyCode": "GBP", "units": "17000"});
    let product = json!({"displayName": "Engine", "owner": "users/ada-1815", "price": price});
    let url = format!("{}/v1/products?product_id=engine-1", stack.gateway);
    http.post(url).json(&product).send().await?.error_for_status()?;
    Ok(())
}

/// Returns the spans of the trace that has the catalog's creation in it: from the top, each with the name of the one
/// above.
fn shape(spans: &[Span]) -> Vec<(String, String, Option<String>)> {
    let creation = spans.iter().find(|span| span.name == SHAPE[3].0);
    let Some(trace) = creation.map(|span| span.trace.clone()) else { return Vec::new() };
    let spans: Vec<_> = spans.iter().filter(|span| span.trace == trace).collect();
    let by_id: HashMap<_, _> = spans.iter().map(|span| (&*span.id, *span)).collect();
    let above = |span: &Span| by_id.get(&*span.parent).copied();
    let depth = |span: &Span| std::iter::successors(above(span), |span| above(span)).count();
    let mut spans = spans.clone();
    spans.sort_by_key(|span| depth(span));
    let told = |span: &&Span| (span.name.clone(), span.service.clone(), above(span).map(|span| span.name.clone()));
    spans.iter().map(told).collect()
}

fn spans(received: &[Value]) -> Vec<Span> {
    let resources = received.iter().flat_map(|one| list(&one["resourceSpans"]));
    resources.flat_map(|resource| of_resource(resource).unwrap_or_default()).collect()
}

fn of_resource(resource: &Value) -> anyhow::Result<Vec<Span>> {
    let attributes = list(&resource["resource"]["attributes"]);
    let service = attributes.iter().find(|one| one["key"] == "service.name").context("no service.name")?;
    let service = service["value"]["stringValue"].as_str().unwrap_or_default();
    let text = |span: &Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let span = |span: &Value| Span {
        name: text(span, "name"),
        service: service.to_owned(),
        trace: text(span, "traceId"),
        id: text(span, "spanId"),
        parent: text(span, "parentSpanId"),
    };
    Ok(list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"]).iter().map(span)).collect())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
