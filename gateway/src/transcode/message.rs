//! JSON to a message, by the proto3 JSON mapping; errors name the field.

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use serde_path_to_error::{Path, Segment, Track};

use crate::{
    error::Failure,
    schema::BodyRule,
    transcode::{depth, value},
};

/// Reads the body into a new request message. No body is an empty one.
pub(crate) fn read(input: &MessageDescriptor, rule: &BodyRule, body: &[u8]) -> Result<DynamicMessage, Failure> {
    if body.is_empty() {
        return Ok(DynamicMessage::new(input.clone()));
    }
    if depth::depth(body) > depth::MOST {
        return Err(Failure::field(rule.place(), &format!("the body nests deeper than {}", depth::MOST)));
    }
    // A field may be of any kind, but only a message can be read by itself: so the field is read as a part of it.
    let wrapped;
    let json = match rule {
        BodyRule::Field(field) => {
            wrapped = [b"{\"", field.json_name().as_bytes(), b"\":", body, b"}"].concat();
            wrapped.as_slice()
        }
        BodyRule::Whole | BodyRule::None => body,
    };
    // Only one JSON value with nothing after it may be taken from there.
    let whole = serde_json::from_slice::<IgnoredAny>(body);
    let mut track = Track::new();
    let mut parser = serde_json::Deserializer::from_slice(json);
    let tracked = serde_path_to_error::Deserializer::new(&mut parser, &mut track);
    let read = DynamicMessage::deserialize(input.clone(), tracked);
    match (whole, read) {
        (Ok(_), Ok(message)) => Ok(message),
        (Ok(_), Err(error)) => Err(wrong(input, json, &track.path(), &error)),
        (Err(error), read) => {
            // What is around the field may be what failed, or nothing: then it is the field that is wrong.
            let inner = read.err().map(|_| proto_path(input, &track.path())).filter(|path| !path.is_empty());
            let path = inner.unwrap_or_else(|| rule.place().to_owned());
            Err(Failure::field(&path, &format!("the body is not valid JSON: {error}")))
        }
    }
}

/// Names the field that could not be read.
fn wrong(input: &MessageDescriptor, json: &[u8], path: &Path, error: &serde_json::Error) -> Failure {
    let parsed = serde_json::from_slice::<Json>(json).ok();
    if let Some(unknown) = parsed.and_then(|json| unknown_field(input, &json)) {
        return Failure::field(&unknown, "there is no such field");
    }
    let text = error.to_string();
    // The place is one in the text that was put together here, of no use to the client.
    let what = text.split(" at line ").next().unwrap_or(&text);
    Failure::field(&proto_path(input, path), what)
}

/// Writes a path of JSON keys in the names of the proto.
fn proto_path(input: &MessageDescriptor, path: &Path) -> String {
    let mut text = String::new();
    let mut inside = Some(input.clone());
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key } => {
                let field = inside.as_ref().and_then(|message| value::find(message, key));
                let name = field.as_ref().map_or(key.as_str(), |field| field.name());
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
                inside = field.and_then(|field| field.kind().as_message().cloned());
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// Finds the first key that names no field.
fn unknown_field(message: &MessageDescriptor, json: &Json) -> Option<String> {
    let Json::Object(object) = json else { return None };
    if is_special(message) {
        return None;
    }
    object.iter().find_map(|(key, json)| {
        let Some(field) = value::find(message, key) else { return Some(key.clone()) };
        let Kind::Message(inner) = field.kind() else { return None };
        let name = field.name();
        match json {
            Json::Object(entries) if field.is_map() => {
                let Kind::Message(inner) = inner.map_entry_value_field().kind() else { return None };
                entries.iter().find_map(|(key, json)| Some(format!("{name}.{key}.{}", unknown_field(&inner, json)?)))
            }
            Json::Array(items) if field.is_list() => {
                let mut items = items.iter().enumerate();
                items.find_map(|(index, json)| Some(format!("{name}[{index}].{}", unknown_field(&inner, json)?)))
            }
            json => Some(format!("{name}.{}", unknown_field(&inner, json)?)),
        }
    })
}

/// Types whose JSON form is not an object of their fields.
pub(crate) fn is_special(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.")
}
