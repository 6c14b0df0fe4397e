//! Reads JSON as Go does: keys without regard to case, nulls as absent, unknown keys refused, what follows ignored.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::answer::Refusal;

/// The keys that Consul also takes in snake case.
const SNAKE: [(&str, &str); 11] = [
    ("enable_tag_override", "EnableTagOverride"),
    ("tagged_addresses", "TaggedAddresses"),
    ("sidecar_service", "SidecarService"),
    ("deregister_critical_service_after", "DeregisterCriticalServiceAfter"),
    ("tls_server_name", "TLSServerName"),
    ("tls_skip_verify", "TLSSkipVerify"),
    ("tcp_use_tls", "TCPUseTLS"),
    ("grpc_use_tls", "GRPCUseTLS"),
    ("script_args", "ScriptArgs"),
    ("docker_container_id", "DockerContainerID"),
    ("service_id", "ServiceID"),
];

/// An object whose keys are those of the API.
pub(crate) type Fields = Map<String, Value>;

/// Reads the first JSON value of a body; an object, or null for an empty one.
pub(crate) fn body(body: &[u8], known: &[&str]) -> Result<Fields, Refusal> {
    let text = |error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Eof if body.trim_ascii().is_empty() => "EOF".to_owned(),
        serde_json::error::Category::Eof => "unexpected EOF".to_owned(),
        _ => error.to_string(),
    };
    let value = Value::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|e| undecoded(&text(e)))?;
    if value.is_null() { Ok(Fields::new()) } else { known_fields(value, "the body", known) }
}

/// Gives the keys of an object their names.
pub(crate) fn known_fields(value: Value, place: &str, known: &[&str]) -> Result<Fields, Refusal> {
    let Value::Object(object) = value else {
        return Err(undecoded(&format!("json: cannot unmarshal {} into {place}", kind(&value))));
    };
    let mut fields = Fields::new();
    for (key, value) in object {
        let Some(name) = known_name(&key, known) else {
            return Err(undecoded(&format!("json: unknown field {key:?}")));
        };
        if !value.is_null() {
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(fields)
}

/// Does the same to an object within an object.
pub(crate) fn nested(fields: &mut Fields, key: &str, known: &[&str]) -> Result<(), Refusal> {
    if let Some(value) = fields.get_mut(key) {
        *value = Value::Object(known_fields(value.take(), key, known)?);
    }
    Ok(())
}

/// Takes the values of the keys into their types.
pub(crate) fn typed<T: DeserializeOwned>(fields: Fields) -> Result<T, Refusal> {
    let read = |fields: Fields| serde_json::from_value(Value::Object(fields));
    read(fields.clone()).map_err(|error: serde_json::Error| {
        // Every field has a default, so the wrong one is also wrong by itself.
        let alone = |(key, value): &(String, Value)| read(Fields::from_iter([(key.clone(), value.clone())])).is_err();
        match fields.into_iter().find(alone) {
            Some((key, _)) => undecoded(&format!("json: field {key}: {error}")),
            None => undecoded(&error.to_string()),
        }
    })
}

fn undecoded(reason: &str) -> Refusal {
    Refusal::bad_request(format!("Request decode failed: {reason}"))
}

fn known_name<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let snake = SNAKE.iter().find(|(snake, _)| snake.eq_ignore_ascii_case(key)).map(|(_, name)| *name);
    let wanted = snake.unwrap_or(key);
    known.iter().copied().find(|name| name.eq_ignore_ascii_case(wanted))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
