//! Reads what descriptors say of methods: `idempotency_level`, what streams, and the options of `selvedge.mesh.v1`.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use tonic::Code;

use crate::{
    error::Error,
    policy::{
        hash_field::{Fields, HashField},
        hedge::HedgePolicy,
        method::{Idempotency, MOST_ATTEMPTS, MethodPolicy, Priority},
    },
};

/// What descriptors say of methods, by path (`/pkg.Service/Method`).
pub(crate) type Methods = HashMap<String, Method>;

/// What a descriptor says of one method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Method {
    pub(crate) unary: bool,
    pub(crate) policy: MethodPolicy,
}

/// Reads encoded `FileDescriptorSet`s.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for bytes that are none, and for a policy that cannot be kept; it
/// names the method.
pub(crate) fn methods(sets: &[&[u8]]) -> Result<Methods, Error> {
    let mut methods = Methods::new();
    for set in sets {
        let set = wire::Set::decode(*set)
            .map_err(|error| Error::config("descriptors", &format!("these bytes are no FileDescriptorSet: {error}")))?;
        let fields = fields(&set);
        for (path, method) in set.file.iter().flat_map(methods_of_file) {
            let read =
                describe(method, &fields).map_err(|why| Error::config("descriptors", &format!("{path}: {why}")))?;
            methods.insert(path, read);
        }
    }
    Ok(methods)
}

/// Returns the fields of all messages of a set.
fn fields(set: &wire::Set) -> Fields<'_> {
    let mut fields = Fields::new();
    for file in &set.file {
        let package = if file.package.is_empty() { String::new() } else { format!(".{}", file.package) };
        file.message.iter().for_each(|message| add_fields(&package, message, &mut fields));
    }
    fields
}

fn add_fields<'a>(scope: &str, message: &'a wire::Message, fields: &mut Fields<'a>) {
    let name = format!("{scope}.{}", message.name);
    for field in &message.field {
        fields.insert((name.clone(), &field.name), (field.number.cast_unsigned(), &field.type_name));
    }
    message.nested.iter().for_each(|nested| add_fields(&name, nested, fields));
}

fn methods_of_file(file: &wire::File) -> impl Iterator<Item = (String, &wire::Method)> {
    let prefix = if file.package.is_empty() { String::new() } else { format!("{}.", file.package) };
    file.service.iter().flat_map(move |service| {
        let start = format!("/{prefix}{}/", service.name);
        service.method.iter().map(move |method| (format!("{start}{}", method.name), method))
    })
}

fn describe(method: &wire::Method, fields: &Fields<'_>) -> Result<Method, String> {
    let options = method.options.as_ref();
    let level = match options.map(|options| options.idempotency_level) {
        Some(1) => Idempotency::NoSideEffects,
        Some(2) => Idempotency::Idempotent,
        _ => Idempotency::Unknown,
    };
    let mut policy = options.and_then(|options| options.policy.as_ref()).map(read).transpose()?.unwrap_or_default();
    let hash_field = options.and_then(|options| options.policy.as_ref()).map(|policy| policy.hash_field.as_str());
    policy.hash_field = match hash_field {
        None | Some("") => None,
        Some(names) => {
            Some(HashField::named(names, &method.input_type, fields).map_err(|why| format!("hash_field: {why}"))?)
        }
    };
    // What the proto does not say is the default's, and not the proto's.
    policy.idempotency = (level != Idempotency::Unknown).then_some(level);
    Ok(Method { unary: !method.client_streaming && !method.server_streaming, policy })
}

fn read(policy: &wire::Policy) -> Result<MethodPolicy, String> {
    let none = wire::Retry::default();
    let retry = policy.retry.as_ref().unwrap_or(&none);
    if retry.max_attempts.is_some_and(|most| !(1..=MOST_ATTEMPTS).contains(&most)) {
        return Err(format!("retry.max_attempts must be 1 to {MOST_ATTEMPTS}"));
    }
    if retry.backoff_multiplier.is_some_and(|by| !by.is_finite() || by < 1.0) {
        return Err("retry.backoff_multiplier must be at least 1".into());
    }
    Ok(MethodPolicy {
        idempotency: None,
        deadline: time("deadline", policy.deadline.as_ref())?,
        max_attempts: retry.max_attempts,
        retry_codes: if retry.codes.is_empty() { None } else { Some(codes(&retry.codes)?.into_iter().collect()) },
        initial_backoff: time("retry.initial_backoff", retry.initial_backoff.as_ref())?,
        max_backoff: time("retry.max_backoff", retry.max_backoff.as_ref())?,
        backoff_multiplier: retry.backoff_multiplier,
        per_try_timeout: time("retry.per_try_timeout", retry.per_try_timeout.as_ref())?,
        stream_idle_timeout: time("stream_idle_timeout", policy.stream_idle_timeout.as_ref())?,
        hedge: policy.hedge.as_ref().map(hedge).transpose()?,
        hash_field: None,
        priority: priority(policy.priority)?,
    })
}

fn priority(number: i32) -> Result<Option<Priority>, String> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(Priority::Low)),
        2 => Ok(Some(Priority::Normal)),
        3 => Ok(Some(Priority::High)),
        other => Err(format!("priority is {other}, which has no meaning")),
    }
}

fn hedge(said: &wire::Hedge) -> Result<HedgePolicy, String> {
    let default = HedgePolicy::default();
    let max_attempts = said.max_attempts.unwrap_or(default.max_attempts);
    if !(1..=MOST_ATTEMPTS).contains(&max_attempts) {
        return Err(format!("hedge.max_attempts must be 1 to {MOST_ATTEMPTS}"));
    }
    if said.quantile.is_some_and(|quantile| !(0.5..=0.999).contains(&quantile)) {
        return Err("hedge.quantile must be 0.5 to 0.999".into());
    }
    let delay = said.delay.map(|delay| Duration::try_from(delay).map_err(|_| "hedge.delay must not be negative"));
    Ok(HedgePolicy { max_attempts, delay: delay.transpose()?, quantile: said.quantile })
}

fn codes(numbers: &[i32]) -> Result<Vec<Code>, String> {
    let known = |number: &i32| match number {
        1..=16 => Ok(Code::from_i32(*number)),
        other => Err(format!("retry.codes names {other}, which is no code that a call fails with")),
    };
    numbers.iter().map(known).collect()
}

fn time(name: &str, duration: Option<&prost_types::Duration>) -> Result<Option<Duration>, String> {
    let Some(duration) = duration else { return Ok(None) };
    let time = Duration::try_from(*duration).ok().filter(|time| !time.is_zero());
    time.map(Some).ok_or_else(|| format!("{name} must be more than zero"))
}

/// The parts of `google/protobuf/descriptor.proto` and `selvedge/mesh/v1/options.proto` that are read here: the
/// messages of `prost_types` drop extensions.
mod wire {
    #[derive(prost::Message)]
    pub(super) struct Set {
        #[prost(message, repeated, tag = "1")]
        pub(super) file: Vec<File>,
    }

    #[derive(prost::Message)]
    pub(super) struct File {
        #[prost(string, tag = "2")]
        pub(super) package: String,
        #[prost(message, repeated, tag = "4")]
        pub(super) message: Vec<Message>,
        #[prost(message, repeated, tag = "6")]
        pub(super) service: Vec<Service>,
    }

    #[derive(prost::Message)]
    pub(super) struct Message {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) field: Vec<Field>,
        #[prost(message, repeated, tag = "3")]
        pub(super) nested: Vec<Message>,
    }

    #[derive(prost::Message)]
    pub(super) struct Field {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(int32, tag = "3")]
        pub(super) number: i32,
        #[prost(string, tag = "6")]
        pub(super) type_name: String,
    }

    #[derive(prost::Message)]
    pub(super) struct Service {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) method: Vec<Method>,
    }

    #[derive(prost::Message)]
    pub(super) struct Method {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) input_type: String,
        #[prost(message, optional, tag = "4")]
        pub(super) options: Option<Options>,
        #[prost(bool, tag = "5")]
        pub(super) client_streaming: bool,
        #[prost(bool, tag = "6")]
        pub(super) server_streaming: bool,
    }

    #[derive(prost::Message)]
    pub(super) struct Options {
        #[prost(int32, tag = "34")]
        pub(super) idempotency_level: i32,
        #[prost(message, optional, tag = "50601")]
        pub(super) policy: Option<Policy>,
    }

    #[derive(prost::Message)]
    pub(super) struct Policy {
        #[prost(message, optional, tag = "1")]
        pub(super) deadline: Option<prost_types::Duration>,
        #[prost(message, optional, tag = "2")]
        pub(super) retry: Option<Retry>,
        #[prost(message, optional, tag = "3")]
        pub(super) hedge: Option<Hedge>,
        #[prost(string, tag = "4")]
        pub(super) hash_field: String,
        #[prost(message, optional, tag = "5")]
        pub(super) stream_idle_timeout: Option<prost_types::Duration>,
        #[prost(int32, tag = "6")]
        pub(super) priority: i32,
    }

    #[derive(prost::Message)]
    pub(super) struct Hedge {
        #[prost(uint32, optional, tag = "1")]
        pub(super) max_attempts: Option<u32>,
        #[prost(message, optional, tag = "2")]
        pub(super) delay: Option<prost_types::Duration>,
        #[prost(double, optional, tag = "3")]
        pub(super) quantile: Option<f64>,
    }

    #[derive(prost::Message)]
    pub(super) struct Retry {
        #[prost(uint32, optional, tag = "1")]
        pub(super) max_attempts: Option<u32>,
        #[prost(int32, repeated, tag = "2")]
        pub(super) codes: Vec<i32>,
        #[prost(message, optional, tag = "3")]
        pub(super) initial_backoff: Option<prost_types::Duration>,
        #[prost(message, optional, tag = "4")]
        pub(super) max_backoff: Option<prost_types::Duration>,
        #[prost(double, optional, tag = "5")]
        pub(super) backoff_multiplier: Option<f64>,
        #[prost(message, optional, tag = "6")]
        pub(super) per_try_timeout: Option<prost_types::Duration>,
    }
}

#[cfg(test)]
mod tests;
