//! A stream of a real service over REST: what is told of products, as events, as lines and as an array.

mod reader;
mod world;

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use selvedge_harness::{LIMIT, eventually};
use serde_json::{Value, json};

use self::{
    reader::{Form, Reader},
    world::World,
};

const FORMS: [Form; 3] = [Form::Events, Form::Lines, Form::Array];

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_told_message_by_message_in_each_form() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.create("first").await?;
    let open = async |form| Reader::open(&world.http, &world.watch("?include_present=true"), form, None).await;
    let mut readers = Vec::new();
    for form in FORMS {
        readers.push(open(form).await?);
    }
    // Each is told while the streams go on: nothing is kept back until there is more, or until the end.
    for reader in &mut readers {
        assert_eq!(reader.next_kinds(2).await?, ["KIND_PRESENT products/first", "KIND_BOOKMARK "], "{:?}", reader.form);
    }
    for id in ["second", "third"] {
        world.create(id).await?;
        for reader in &mut readers {
            assert_eq!(reader.next_kinds(1).await?, [format!("KIND_CREATED products/{id}")], "{:?}", reader.form);
        }
    }
    Ok(())
}

const PRODUCTS: usize = 300;
/// The stream is cut after so many events.
const CUT: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_resumed_by_their_last_id_miss_nothing_and_repeat_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut reader = Reader::open(&world.http, &world.watch(""), Form::Events, None).await?;
    assert_eq!(reader.next_kinds(1).await?, ["KIND_BOOKMARK "]);
    let write = async {
        for number in 0..PRODUCTS {
            world.create(&format!("loom-{number}")).await?;
        }
        anyhow::Ok(())
    };
    let read = async {
        let mut seen = Vec::new();
        while seen.len() < PRODUCTS {
            // As a browser's `EventSource` does it, which knows no more than the last id.
            let last = reader.last_id.clone().context("an event without an id")?;
            reader = Reader::open(&world.http, &world.watch(""), Form::Events, Some(&last)).await?;
            seen.extend(reader.next_kinds(CUT.min(PRODUCTS - seen.len())).await?);
        }
        Ok(seen)
    };
    let ((), seen) = futures::future::try_join(write, read).await?;
    let wanted: BTreeSet<_> = (0..PRODUCTS).map(|number| format!("KIND_CREATED products/loom-{number}")).collect();
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(seen.len(), PRODUCTS, "some came twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_call_at_the_service() -> anyhow::Result<()> {
    let world = World::start().await?;
    let two = reqwest::Client::builder().http2_prior_knowledge().build()?;
    let mut begun = 0;
    for http in [&world.http, &two] {
        for form in FORMS {
            let mut reader = Reader::open(http, &world.watch(""), form, None).await?;
            reader.next_kinds(1).await?;
            begun += 1;
            let (began, ended) = world.watches().await?;
            assert_eq!((began, ended), (begun, begun - 1), "it runs while its client reads");
            drop(reader);
            eventually(LIMIT, async || {
                let (_, ended) = world.watches().await?;
                ensure!(ended == begun, "{form:?}: {ended} of {begun} calls ended");
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_instance_ends_says_so_in_each_form_and_can_be_resumed() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let mut readers = Vec::new();
    for form in FORMS {
        let mut reader = Reader::open(&world.http, &world.watch(""), form, None).await?;
        reader.next_kinds(1).await?;
        readers.push(reader);
    }
    world.catalog_leaves().await?;
    let mut tokens = Vec::new();
    for reader in readers {
        let form = reader.form;
        let status = reader.end().await.with_context(|| format!("{form:?}"))?;
        assert_eq!(status["code"], 14, "{form:?}: {status}");
        let info = detail(&status, "ErrorInfo").with_context(|| format!("{form:?}: {status}"))?;
        tokens.push(info["metadata"]["resume_token"].as_str().context("no token")?.to_owned());
    }
    world.catalog_returns().await?;
    world.create("meanwhile").await?;
    for (form, token) in FORMS.into_iter().zip(tokens) {
        let mut reader = Reader::open(&world.http, &world.watch(""), form, Some(&token)).await?;
        assert_eq!(reader.next_kinds(1).await?, ["KIND_CREATED products/meanwhile"], "{form:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_instance_dies_says_so_in_each_form() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let mut readers = Vec::new();
    for form in FORMS {
        let mut reader = Reader::open(&world.http, &world.watch(""), form, None).await?;
        reader.next_kinds(1).await?;
        readers.push(reader);
    }
    world.catalog_dies().await?;
    for reader in readers {
        let form = reader.form;
        let status = reader.end().await.with_context(|| format!("{form:?}"))?;
        assert_eq!(status["code"], 14, "{form:?}: {status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_cannot_begin_is_refused_with_its_own_status() -> anyhow::Result<()> {
    let world = World::start().await?;
    for form in FORMS {
        let url = world.watch("?resume_token=none-of-theirs");
        let response = world.http.get(url).header("accept", form.media_type()).send().await?;
        assert_eq!(response.status(), 400, "{form:?}");
        assert_eq!(response.headers()["content-type"], "application/json");
        let status: Value = response.json().await?;
        let request = detail(&status, "BadRequest").with_context(|| format!("{form:?}: {status}"))?;
        assert_eq!(request["fieldViolations"][0]["field"], "resume_token", "{status}");
    }
    Ok(())
}

/// Returns the detail of a `google.rpc.Status` that has this type.
fn detail(status: &Value, name: &str) -> Option<Value> {
    let wanted = json!(format!("type.googleapis.com/google.rpc.{name}"));
    status["details"].as_array()?.iter().find(|detail| detail["@type"] == wanted).cloned()
}
