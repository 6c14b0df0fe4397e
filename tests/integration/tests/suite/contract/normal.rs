//! What two registries need not agree on: indexes, ids, times, versions, ports; it is replaced before comparing.

use std::fmt;

use anyhow::Result;
use reqwest::{Response, header::HeaderMap};
use serde_json::Value;

use crate::contract::step::Compare;

/// Headers that are compared, where an answer is no refusal.
const HEADERS: [&str; 7] = [
    "content-type",
    "x-consul-contenthash",
    "x-consul-effective-consistency",
    "x-consul-index",
    "x-consul-knownleader",
    "x-consul-lastcontact",
    "x-consul-query-backend",
];
/// Headers that are compared always.
const OF_REFUSALS: [&str; 3] = ["allow", "x-consul-default-acl-policy", "x-consul-reason"];
/// Headers that need only be there: their values are each side's own.
const PRESENT: [&str; 2] = ["x-consul-contenthash", "x-consul-index"];
/// Members of JSON whose values are each side's own.
const OWN: [&str; 4] = ["ContentHash", "CreateIndex", "ModifyIndex", "consul-version"];

/// An answer, with what need not agree replaced.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Value,
}

impl Answer {
    /// Reads an answer; `own` is the address of the side.
    pub(crate) async fn read(response: Response, own: &str) -> Result<Self> {
        let status = response.status().as_u16();
        let headers = headers(status, response.headers());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.trim().to_owned()));
        Ok(Self { status, headers, body: normal(body, own) })
    }

    /// Keeps only what is to be compared.
    pub(crate) fn reduced(mut self, compare: Compare) -> Self {
        self.body = match compare {
            Compare::Body => self.body,
            Compare::Start => Value::from(self.body.as_str().unwrap_or_default().split(':').next()),
            Compare::Members(paths) => paths.iter().map(|path| self.body.pointer(path).cloned()).collect(),
            Compare::Nothing => Value::Null,
        };
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:?}\n{:#}", self.status, self.headers, self.body)
    }
}

fn headers(status: u16, headers: &HeaderMap) -> Vec<String> {
    let refused = status >= 400 && !headers.contains_key("x-consul-reason");
    let names: Vec<_> = if refused { OF_REFUSALS.to_vec() } else { HEADERS.into_iter().chain(OF_REFUSALS).collect() };
    let value = |name: &&str| headers.get(*name).and_then(|value| value.to_str().ok());
    let found = names.into_iter().filter_map(|name| Some((name, value(&name)?)));
    let shown =
        found.map(|(name, value)| if PRESENT.contains(&name) { name.to_owned() } else { format!("{name}: {value}") });
    shown.collect()
}

/// Replaces in a JSON value what is each side's own; `own` is its address.
pub(crate) fn normal(value: Value, own: &str) -> Value {
    match value {
        Value::Object(mut members) => {
            if members.values().all(is_list_of_texts) {
                // The names of services: Consul gives the tags of several instances in no order.
                members
                    .values_mut()
                    .filter_map(Value::as_array_mut)
                    .for_each(|tags| tags.sort_by_key(Value::to_string));
            }
            Value::Object(members.into_iter().filter_map(|member| normal_member(member, own)).collect())
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(|item| normal(item, own)).collect();
            if items.iter().all(|item| item["CheckID"].is_string()) {
                // Consul gives the checks of `agent/health` in the order of a hash table.
                items.sort_by_key(|item| item["CheckID"].to_string());
            }
            Value::Array(items)
        }
        Value::String(text) => Value::String(without_addresses(&text, own)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn normal_member((name, value): (String, Value), own: &str) -> Option<(String, Value)> {
    let is_node_id = name == "ID" && value.as_str().is_some_and(is_uuid) || name == "NodeID";
    let value = if is_node_id || OWN.contains(&name.as_str()) {
        Value::from("own")
    } else if name == "TaggedAddresses" || name == "ServiceTaggedAddresses" {
        // What Consul adds to every native service.
        let mut addresses = value.as_object().cloned();
        let was_alone = addresses.as_mut().is_some_and(|all| all.remove("consul-virtual").is_some() && all.is_empty());
        if was_alone {
            return None;
        }
        addresses.map_or(value, |addresses| normal(Value::Object(addresses), own))
    } else {
        normal(value, own)
    };
    Some((name, value))
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Replaces the address of the side, and that of its server.
fn without_addresses(text: &str, own: &str) -> String {
    let text = text.replace(own, "OWN");
    let Some((before, after)) = text.split_once("127.0.0.1:") else { return text };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}SERVER{rest}")
}
