//! What strangers can send, as bytes: the entry points of the fuzzers in `gateway/fuzz`; properties enter here as well.
//!
//! Each reads its bytes as a request would be read, and panics if what was promised of them does not hold.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, executor::block_on, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value as Json;
use tonic::{Status, body::Body};

use crate::{
    memory::Memory,
    protocol::{base64_text, messages::Messages},
    schema::{Binding, Files, Learned, Matched, Piece, Routes, Schema, State, Template},
    transcode::{self, Parts},
};

/// Reads the bytes after the first as the base64 of gRPC-Web and as the frames of an answer, cut into pieces as long as
/// the first byte says.
///
/// # Panics
///
/// If what comes out depends on the cuts, or is longer than what went in.
pub fn frames(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let pieces = || bytes.chunks(usize::from(*cut).max(1));
    assert_eq!(decoded(pieces()), decoded(std::iter::once(bytes)), "base64 depends on how it is cut");
    let (read, ended) = block_on(messages(pieces()));
    assert_eq!((&read, ended), (&block_on(messages(std::iter::once(bytes))).0, ended), "frames depend on the cuts");
    let mut again = BytesMut::new();
    for message in &read {
        again.extend_from_slice(&[0]);
        again.extend_from_slice(&u32::try_from(message.len()).expect("it is no longer than the input").to_be_bytes());
        again.extend_from_slice(message);
    }
    assert!(bytes.starts_with(&again), "messages are not those that were sent");
    assert_eq!(ended, again.len() == bytes.len(), "an answer ends well just where a message ends");
}

/// Reads the first line as a path template, and looks for the second one as a path.
///
/// # Panics
///
/// If a template does not match a path that was made of it.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, path) = text.split_once('\n').unwrap_or((text, "/"));
    let Ok(template) = Template::parse(text) else { return };
    let mut routes = Routes::default();
    assert_eq!(routes.insert("GET", &template, ()), Ok(()), "the first route has its place");
    if let Matched::Route((), segments) = routes.find("GET", path) {
        template.variables.iter().for_each(|variable| drop(variable.capture(&segments)));
    }
    let own = path_of(&template);
    let Matched::Route((), segments) = routes.find("GET", &own) else { panic!("{text} does not match {own}") };
    for variable in &template.variables {
        assert!(variable.capture(&segments).is_ok(), "{} takes nothing of {own}", variable.field);
    }
}

/// Reads the text after `?` of a request for a message with every kind of field.
///
/// # Panics
///
/// If what it makes cannot be sent, or comes out of its bytes or its JSON as something else.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    made("GET", Parts { segments: &["v1", "kinds"], query: Some(text), body: b"" });
}

/// Reads a JSON body that is a message with every kind of field.
///
/// # Panics
///
/// If what it makes cannot be sent, or comes out of its bytes or its JSON as something else.
pub fn json(bytes: &[u8]) {
    made("POST", Parts { segments: &["v1", "kinds"], query: None, body: bytes });
}

/// Reads an answer that is a message with every kind of field, or should be one.
///
/// # Panics
///
/// If what it becomes is no JSON, or says something else once it was read again.
pub fn answer(bytes: &[u8]) {
    let Ok(own) = transcode::write(&binding("GET"), bytes) else { return };
    let json: Json = serde_json::from_slice(&own).expect("it is JSON");
    let again = transcode::request(&binding("POST"), Parts { body: &own, ..EMPTY });
    let again = again.unwrap_or_else(|failure| panic!("its own JSON is refused: {failure:?}: {json}"));
    let again = transcode::frame(&again).expect("what was read can be sent");
    assert_eq!(written(&binding("GET"), &again[5..]), json, "its own JSON says something else");
}

fn made(http: &str, parts: Parts<'_>) {
    let binding = binding(http);
    let Ok(message) = transcode::request(&binding, parts) else { return };
    let frame = transcode::frame(&message).expect("what was read can be sent");
    let sent = DynamicMessage::decode(binding.method.descriptor.input(), frame.slice(5..)).expect("and is understood");
    let json = written(&binding, &frame[5..]);
    assert_eq!(Some(&json), told(&sent).as_ref(), "it is another message to the service");
    assert_eq!(json, written(&binding, &sent.encode_to_vec()), "it is another one once it was merged");
    let again = transcode::request(&self::binding("POST"), Parts { body: json.to_string().as_bytes(), ..EMPTY });
    let again = again.unwrap_or_else(|failure| panic!("its own JSON is refused: {failure:?}: {json}"));
    let again = transcode::frame(&again).expect("what was read can be sent");
    assert_eq!(written(&binding, &again[5..]), json, "its own JSON says something else");
}

const EMPTY: Parts<'_> = Parts { segments: &["v1", "kinds"], query: None, body: b"" };

fn written(binding: &Binding, message: &[u8]) -> Json {
    let text = transcode::write(binding, message).expect("what was read can be written");
    serde_json::from_slice(&text).expect("it is JSON")
}

/// What others make of a message.
fn told(message: &DynamicMessage) -> Option<Json> {
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut text = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut text, &options).ok()?;
    serde_json::from_slice(&text.into_inner()).ok()
}

/// The route of a message with every kind of field: `GET` by its query, `POST` by its body.
fn binding(http: &str) -> Arc<Binding> {
    static KINDS: OnceLock<Schema> = OnceLock::new();
    let schema = KINDS.get_or_init(kinds);
    let Matched::Route(binding, _) = schema.route(http, "/v1/kinds") else { panic!("kinds.proto has no such route") };
    Arc::clone(binding)
}

/// Reads `tests/proto/kinds/v1/kinds.proto`.
fn kinds() -> Schema {
    let roots = [concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto"), concat!(env!("CARGO_MANIFEST_DIR"), "/../proto")];
    let mut compiler = protox::Compiler::new(roots).expect("the protos are there");
    compiler.include_imports(true).open_files(["kinds/v1/kinds.proto"]).expect("it compiles");
    let set = compiler.encode_file_descriptor_set();
    let files = Files::from_sets(&[&set], &["kinds.v1.KindService"]).expect("it was encoded a moment ago");
    let learned = Learned::new("kinds", None, 0, files).expect("its files fit together");
    let state = State { learned: Some(Arc::new(learned)), ..State::default() };
    Schema::build(&BTreeMap::from([("kinds".to_owned(), state)]), true, &Schema::default())
}

fn decoded<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let (mut decoder, mut decoded) = (base64_text::Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece, &mut decoded).ok()?;
    }
    decoder.finish().ok().map(|()| decoded)
}

/// Reads an answer to its end; tells also whether that was a good one.
async fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool) {
    let good = HeaderMap::from_iter([(Status::GRPC_STATUS, http::HeaderValue::from_static("0"))]);
    let data: Vec<_> = pieces.map(|piece| Frame::data(Bytes::copy_from_slice(piece))).collect();
    let frames = stream::iter(data).chain(stream::iter([Frame::trailers(good)])).map(Ok::<_, Status>);
    let share = Memory::new(16 << 20).share();
    let mut messages =
        Messages::new(&HeaderMap::new(), Body::new(StreamBody::new(frames)), share).expect("no status yet");
    let mut read = Vec::new();
    loop {
        match messages.next().await {
            Ok(Some(message)) => read.push(message),
            Ok(None) => return (read, true),
            Err(_) => return (read, false),
        }
    }
}

/// Makes a path that a template matches.
fn path_of(template: &Template) -> String {
    let segments = template.pieces.iter().map(|piece| match piece {
        Piece::Literal(text) => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        Piece::Single => "one".to_owned(),
        Piece::Rest => "two/three".to_owned(),
    });
    let path = format!("/{}", segments.collect::<Vec<_>>().join("/"));
    let verb = template.verb.as_ref().map(|verb| format!(":{}", utf8_percent_encode(verb, NON_ALPHANUMERIC)));
    path + &verb.unwrap_or_default()
}

#[cfg(test)]
mod tests;
