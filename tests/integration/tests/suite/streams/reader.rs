//! Reads a stream of messages in one of the forms that REST has for it, as its bytes come.

use anyhow::{Context as _, bail, ensure};
use reqwest::Response;
use selvedge_harness::LIMIT;
use serde_json::Value;

/// A form of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// A JSON text a line.
    Lines,
    /// A JSON array.
    Array,
}

impl Form {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
            Self::Array => "application/json",
        }
    }
}

/// A stream that is read; dropping it is leaving.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) form: Form,
    /// The id of the last event.
    pub(super) last_id: Option<String>,
    response: Response,
    /// What came and is not taken yet.
    text: String,
}

/// What is said next.
#[derive(Debug)]
enum Said {
    Message(Value),
    /// A `google.rpc.Status`, which is the last that is said.
    Failed(Value),
}

impl Reader {
    /// Begins to read, after the event or message of this id or token.
    pub(super) async fn open(
        http: &reqwest::Client,
        url: &str,
        form: Form,
        after: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut request = http.get(url).header("accept", form.media_type());
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?;
        ensure!(response.status() == 200, "HTTP {}: {}", response.status(), response.text().await?);
        let said = response.headers().get("content-type").context("no content-type")?;
        ensure!(said == form.media_type(), "{said:?} in place of {form:?}");
        Ok(Self { form, last_id: None, response, text: String::new() })
    }

    /// Returns what was told next of so many products: the kind, and the name.
    pub(super) async fn next_kinds(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        let mut kinds = Vec::new();
        while kinds.len() < count {
            match self.next().await?.with_context(|| format!("it ended after {kinds:?}"))? {
                Said::Message(message) => {
                    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    kinds.push(format!("{} {}", word(&message["kind"]), word(&message["product"]["name"])));
                }
                Said::Failed(status) => bail!("it failed after {kinds:?}: {status}"),
            }
        }
        Ok(kinds)
    }

    /// Reads to the end, which must say why, and be one that the form has.
    pub(super) async fn end(mut self) -> anyhow::Result<Value> {
        let status = loop {
            match self.next().await?.context("it ended without a word")? {
                Said::Failed(status) => break status,
                Said::Message(_) => {}
            }
        };
        while self.more().await? {}
        let rest = if self.form == Form::Array { "]" } else { "" };
        ensure!(self.text == rest, "{:?} follows the end", self.text);
        Ok(status)
    }

    /// Returns what is said next; nothing at the end.
    async fn next(&mut self) -> anyhow::Result<Option<Said>> {
        loop {
            if let Some(said) = self.take()? {
                return Ok(Some(said));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// Waits for more bytes; tells whether some came.
    async fn more(&mut self) -> anyhow::Result<bool> {
        let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.context("nothing is said")??;
        let Some(chunk) = chunk else { return Ok(false) };
        self.text += std::str::from_utf8(&chunk).context("pieces are whole texts")?;
        Ok(true)
    }

    /// Takes what is there whole.
    fn take(&mut self) -> anyhow::Result<Option<Said>> {
        match self.form {
            Form::Events => self.take_event(),
            Form::Lines => {
                let Some((line, rest)) = self.text.split_once('\n') else { return Ok(None) };
                let (json, rest) = (serde_json::from_str(line)?, rest.to_owned());
                self.text = rest;
                Ok(Some(said(json)))
            }
            Form::Array => {
                let Some(rest) = self.text.strip_prefix(['[', ',']) else { return Ok(None) };
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
                let json = match values.next() {
                    Some(Ok(json)) => json,
                    Some(Err(error)) if !error.is_eof() => return Err(error.into()),
                    _ => return Ok(None),
                };
                self.text = rest[values.byte_offset()..].to_owned();
                Ok(Some(said(json)))
            }
        }
    }

    /// Takes an event: its lines up to an empty one (HTML standard, section 9.2).
    fn take_event(&mut self) -> anyhow::Result<Option<Said>> {
        while let Some((event, rest)) = self.text.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            self.text = rest;
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let Some(data) = field("data:") else { continue };
            let json = serde_json::from_str(data)?;
            match field("event:") {
                None => {
                    self.last_id = field("id:").map(str::to_owned);
                    return Ok(Some(Said::Message(json)));
                }
                Some("stream-error") => return Ok(Some(Said::Failed(json))),
                Some(other) => bail!("an event {other:?}"),
            }
        }
        Ok(None)
    }
}

/// Tells a status from the messages that it comes after.
fn said(json: Value) -> Said {
    if json["@type"] == "type.googleapis.com/google.rpc.Status" { Said::Failed(json) } else { Said::Message(json) }
}
