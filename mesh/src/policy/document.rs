//! A policy document: what an operator says of one service in Consul's KV store, as JSON or YAML.

use std::{collections::BTreeMap, fmt::Display};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::Error,
    policy::{
        check::{self, Problem},
        cluster::ClusterPolicy,
        method::{MethodPolicy, Origin, Policy},
    },
};

/// The policy of one service. What it does not say is left to protos, programs and defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Document {
    /// What holds for every method of the service.
    pub service: MethodPolicy,
    /// What holds for one method, by its name: `GetUser`, or `selvedge.users.v1.UserService/GetUser`, which goes
    /// before it. Either goes before what holds for every method.
    pub methods: BTreeMap<String, MethodPolicy>,
    /// How the instances of the service are treated.
    #[schemars(with = "Option<ClusterPolicy>")]
    cluster: Option<Value>,
}

/// Returns the JSON schema (draft 2020-12) of the documents that [`Document::parse`] reads.
#[must_use]
pub fn document_schema() -> Value {
    schemars::schema_for!(Document).to_value()
}

impl Document {
    /// Reads a document: JSON if it begins with a brace, else YAML.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a text that is neither, a field that does not exist, and a
    /// value that cannot be kept; it names the place in the document.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        Self::read(text).map_err(|problem| Error::new(crate::error::ErrorKind::Config, problem.to_string()))
    }

    pub(crate) fn read(text: &[u8]) -> Result<Self, Problem> {
        let whole = |reason: String| Problem { path: String::new(), reason };
        let text = std::str::from_utf8(text).map_err(|error| whole(format!("it is no UTF-8: {error}")))?;
        let tree: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| whole(format!("it is no JSON: {error}")))?
        } else {
            serde_saphyr::from_str(text).map_err(|error| whole(format!("it is no YAML: {}", first_line(&error))))?
        };
        // An empty YAML document says nothing.
        let tree = if tree.is_null() { Value::Object(serde_json::Map::new()) } else { tree };
        let document: Self = typed("", &tree)?;
        check::method("service", &document.service)?;
        for (name, policy) in &document.methods {
            check::method(&format!("methods.{name}"), policy)?;
        }
        document.cluster(&ClusterPolicy::default())?;
        Ok(document)
    }

    /// Whether it says something of this method (`/pkg.Service/Method`) itself.
    pub(crate) fn names(&self, path: &str) -> bool {
        names(path).into_iter().any(|name| self.methods.contains_key(name))
    }

    /// Lays what it says of a method (`/pkg.Service/Method`) over its policy.
    pub(crate) fn over(&self, policy: Policy, path: &str) -> Policy {
        let said = names(path).into_iter().filter_map(|name| self.methods.get(name));
        std::iter::once(&self.service).chain(said).fold(policy, |policy, said| policy.with(Origin::Kv, said))
    }

    /// Returns the policy of the instances: what it says, over `base`.
    pub(crate) fn cluster(&self, base: &ClusterPolicy) -> Result<ClusterPolicy, Problem> {
        let Some(said) = &self.cluster else { return Ok(base.clone()) };
        let mut tree = serde_json::to_value(base).map_err(|error| Problem::new("cluster", &error.to_string()))?;
        lay(&mut tree, said);
        let policy = typed("cluster", &tree)?;
        check::cluster("cluster", &policy)?;
        Ok(policy)
    }

    /// Whether it says a value of the instances' policy, by its path: `breaker.jitter`.
    pub(crate) fn says(&self, path: &str) -> bool {
        let mut place = self.cluster.as_ref();
        for name in path.split('.') {
            match place {
                Some(Value::Object(group)) => place = group.get(name),
                // A value in the place of a group says all of it.
                Some(_) => return true,
                None => return false,
            }
        }
        place.is_some()
    }
}

/// Returns the names that a document may call a method by, the weaker first.
fn names(path: &str) -> [&str; 2] {
    let full = path.trim_start_matches('/');
    [full.rsplit('/').next().unwrap_or_default(), full]
}

/// Lays one tree over another. Where both have exactly one field, and not the same, it is another variant.
fn lay(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) if !is_other_variant(base, over) => {
            for (name, value) in over {
                lay(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

fn is_other_variant(base: &serde_json::Map<String, Value>, over: &serde_json::Map<String, Value>) -> bool {
    base.len() == 1 && over.len() == 1 && base.keys().ne(over.keys())
}

/// Reads a tree as a type; what is wrong is named by its path below `start`.
fn typed<T: DeserializeOwned>(start: &str, tree: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let below = error.path().to_string();
        let parts = [start, if below == "." { "" } else { &below }];
        let path = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        Problem { path, reason: error.inner().to_string() }
    })
}

/// What follows shows the place in the text, on several lines.
fn first_line(error: &impl Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
