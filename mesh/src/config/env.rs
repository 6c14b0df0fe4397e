//! Settings from environment variables: which variable sets what, and how its text becomes a value.
//!
//! Texts are read by the type of the setting's default, so that a token that looks like a number stays a text.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::error::Error;

/// Names and values of environment variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// Parts of the settings that variables reach; others that begin with `SELVEDGE_` belong to programs.
const SECTIONS: [&str; 7] = ["registry", "discovery", "server", "client", "policy", "telemetry", "admin"];

/// Consul's own variables, and what they set.
const CONSULS: [(&str, &str); 6] = [
    ("CONSUL_HTTP_ADDR", "registry.address"),
    ("CONSUL_HTTP_TOKEN", "registry.token"),
    ("CONSUL_HTTP_TOKEN_FILE", "registry.token_file"),
    ("CONSUL_CACERT", "registry.ca_cert"),
    ("CONSUL_CLIENT_CERT", "registry.client_cert"),
    ("CONSUL_CLIENT_KEY", "registry.client_key"),
];

/// OpenTelemetry's own variables, what they set, and the unit that they leave out.
const OPEN_TELEMETRYS: [(&str, &str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp.endpoint", ""),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "telemetry.otlp.timeout", "ms"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "telemetry.otlp.metrics_interval", "ms"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.traces.sample", ""),
];

/// Variables, Consul's own and those that would be ours, for what is beyond the mesh.
const BEYOND: [(&str, &str); 5] = [
    ("CONSUL_NAMESPACE", "namespaces of Consul Enterprise"),
    ("CONSUL_PARTITION", "partitions of Consul Enterprise"),
    ("SELVEDGE_REGISTRY__NAMESPACE", "namespaces of Consul Enterprise"),
    ("SELVEDGE_REGISTRY__PARTITION", "partitions of Consul Enterprise"),
    ("SELVEDGE_REGISTRY__PEER", "peers"),
];

/// One variable and the setting that it sets.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    variable: &'a str,
    /// A dotted path: `server.drain.grace`.
    path: String,
    text: String,
}

/// Puts what variables say over `defaults`: first those of Consul and OpenTelemetry, then those of Selvedge.
pub(crate) fn merge<T: Serialize + DeserializeOwned>(defaults: &T, variables: &Variables) -> Result<T, Error> {
    for (variable, what) in BEYOND {
        let Some(text) = variables.get(variable).filter(|text| !["", "default"].contains(&text.as_str())) else {
            continue;
        };
        let reason = format!("{text:?} is asked for, and {what} are not supported: unset it");
        return Err(Error::config(variable, &reason));
    }
    let broken = |error: serde_json::Error| Error::config("environment", &error.to_string());
    let mut tree = serde_json::to_value(defaults).map_err(broken)?;
    for setting in settings(variables) {
        let Setting { variable, path, text } = &setting;
        let named = |reason: &str| Error::config(&format!("{path} ({variable})"), reason);
        set(&mut tree, path, text).map_err(|reason| named(&reason))?;
        T::deserialize(&tree).map_err(|error| named(&format!("{text:?} cannot be read: {error}")))?;
    }
    T::deserialize(tree).map_err(broken)
}

/// Returns what is set, in the order in which it is set.
fn settings(variables: &Variables) -> Vec<Setting<'_>> {
    let consuls = CONSULS.iter().filter_map(|&(variable, path)| {
        let text = variables.get(variable).filter(|text| !text.is_empty())?;
        Some(Setting { variable, path: path.into(), text: text.clone() })
    });
    let tls = tls_address(variables).map(|text| Setting {
        variable: "CONSUL_HTTP_SSL",
        path: "registry.address".into(),
        text,
    });
    let ours = variables.iter().filter_map(|(variable, text)| {
        let path = variable.strip_prefix("SELVEDGE_")?.to_ascii_lowercase().replace("__", ".");
        let (section, _) = path.split_once('.')?;
        SECTIONS.contains(&section).then(|| Setting { variable, path, text: text.clone() })
    });
    let others = OPEN_TELEMETRYS.iter().filter_map(|&(variable, path, unit)| {
        let text = variables.get(variable).filter(|text| !text.is_empty())?;
        Some(Setting { variable, path: path.into(), text: format!("{text}{unit}") })
    });
    consuls.chain(tls).chain(others).chain(ours).collect()
}

/// `CONSUL_HTTP_SSL` asks for TLS at Consul's address, whatever scheme that names.
fn tls_address(variables: &Variables) -> Option<String> {
    let wanted = variables.get("CONSUL_HTTP_SSL")?;
    if !["1", "t", "true"].contains(&wanted.to_ascii_lowercase().as_str()) {
        return None;
    }
    let address = variables.get("CONSUL_HTTP_ADDR").filter(|text| !text.is_empty());
    let address = address.map_or("127.0.0.1:8500", String::as_str);
    let with_tls = |address: &str| match address.split_once("://") {
        Some(("http", rest)) => format!("https://{rest}"),
        Some(_) => address.into(),
        None => format!("https://{address}"),
    };
    Some(address.split(',').map(|address| with_tls(address.trim())).collect::<Vec<_>>().join(","))
}

/// Sets one setting, or says why that cannot be.
fn set(tree: &mut Value, path: &str, text: &str) -> Result<(), String> {
    let mut place = tree;
    for name in path.split('.') {
        let Value::Object(group) = place else { return Err(format!("there is no setting {path}")) };
        let known = group.keys().cloned().collect::<Vec<_>>().join(", ");
        place = group.get_mut(name).ok_or_else(|| format!("there is no {name}: expected one of {known}"))?;
    }
    *place = value_like(place, text)?;
    Ok(())
}

/// Reads a text as a value of the type that the default has; what has no default is text.
fn value_like(default: &Value, text: &str) -> Result<Value, String> {
    match default {
        Value::Object(group) => {
            let known = group.keys().cloned().collect::<Vec<_>>().join(", ");
            Err(format!("is a group: set one of {known} in it"))
        }
        Value::Number(number) if number.is_f64() => {
            let number = text.trim().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::from).ok_or_else(|| format!("{text:?} is no number"))
        }
        Value::Number(_) => {
            text.trim().parse::<u64>().map(Value::from).map_err(|_| format!("{text:?} is no whole number"))
        }
        Value::Bool(_) => {
            text.trim().parse::<bool>().map(Value::from).map_err(|_| format!("{text:?} is neither true nor false"))
        }
        Value::Array(_) => Ok(list(text)),
        Value::Null if text.is_empty() => Ok(Value::Null),
        Value::Null | Value::String(_) => Ok(text.into()),
    }
}

/// Reads `a, b` or `["a", "b"]`.
fn list(text: &str) -> Value {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.split(',').map(|item| item.trim().trim_matches('"')).filter(|item| !item.is_empty()).collect()
}
