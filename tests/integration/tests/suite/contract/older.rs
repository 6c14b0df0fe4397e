//! What Consul 1.19.2 does otherwise than 1.22, which the embedded registry is like: each with its reason.

use std::collections::BTreeSet;

use selvedge_harness::Release;
use serde_json::Value;

use crate::contract::{side::Outcome, step::Step};

/// What is other in its answers.
#[derive(Debug)]
enum What {
    /// A header has another value, or is not there.
    Header(&'static str, Option<&'static str>),
    /// Objects lack a member.
    Without(&'static str),
    /// The answer to a step that begins so is another one.
    Answer(&'static str),
}

const OLDER: &[(What, &str)] = &[
    (What::Header("content-type: application/json; charset=utf-8", None), "an empty answer has no content type there"),
    (
        What::Header("content-type: text/plain; charset=utf-8", Some("content-type: text/plain")),
        "raw values have no character set there",
    ),
    (What::Without("ServicePorts"), "a service has several ports since 1.22"),
    (What::Answer("GET /v1/agent/self"), "it does not say at which address it listens"),
    (What::Answer(r#"PUT /v1/catalog/register {"Node":"nameless""#), "it takes a service without a name"),
];

/// The differences of a release, and which of them were met.
#[derive(Debug)]
pub(crate) struct Differences {
    all: &'static [(What, &'static str)],
    met: BTreeSet<usize>,
}

impl Differences {
    pub(crate) fn of(release: Release) -> Self {
        let all = match release {
            Release::Current => &[],
            Release::Older => OLDER,
        };
        Self { all, met: BTreeSet::new() }
    }

    /// Returns what the release is to answer where the embedded registry answers `ours`; none if that is not known.
    pub(crate) fn expected(&mut self, step: &Step, mut ours: Outcome) -> Option<Outcome> {
        let answer = match &mut ours {
            Outcome::Answer(answer) | Outcome::Read(_, answer) => answer,
            Outcome::Rose(_) => return Some(ours),
        };
        for (at, (what, _)) in self.all.iter().enumerate() {
            let met = match what {
                What::Header(header, other) => replace(&mut answer.headers, header, *other),
                What::Without(member) => remove(&mut answer.body, member),
                What::Answer(start) if step.to_string().starts_with(start) => {
                    self.met.insert(at);
                    return None;
                }
                What::Answer(_) => false,
            };
            if met {
                self.met.insert(at);
            }
        }
        Some(ours)
    }

    /// Returns the reasons of those that were never met: they are gone, or never were.
    pub(crate) fn never_met(&self) -> Vec<&'static str> {
        let never = self.all.iter().enumerate().filter(|(at, _)| !self.met.contains(at));
        never.map(|(_, (_, reason))| *reason).collect()
    }
}

fn replace(headers: &mut Vec<String>, header: &str, other: Option<&str>) -> bool {
    let Some(at) = headers.iter().position(|known| known == header) else { return false };
    match other {
        Some(other) => other.clone_into(&mut headers[at]),
        None => drop(headers.remove(at)),
    }
    true
}

fn remove(value: &mut Value, member: &str) -> bool {
    match value {
        Value::Object(members) => {
            let mut removed = members.remove(member).is_some();
            for inner in members.values_mut() {
                removed |= remove(inner, member);
            }
            removed
        }
        Value::Array(items) => {
            let mut removed = false;
            for inner in items {
                removed |= remove(inner, member);
            }
            removed
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
