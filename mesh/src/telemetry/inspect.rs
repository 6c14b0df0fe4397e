//! What the admin listener tells of meshes: their state, and why a call goes where it goes.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::ACCEPT},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Map, Value};

/// A mesh that can be looked into.
pub(crate) trait Inspect: fmt::Debug + Send + Sync {
    /// The name of its service.
    fn mesh(&self) -> &str;

    /// Returns all that it knows of the services that it calls.
    fn state(&self) -> Value;

    /// Returns why a call goes where it goes, or why that cannot be said.
    fn explain(&self, asked: &Asked) -> Result<Explained, String>;
}

/// A call that somebody asks about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) service: String,
    /// `GetUser` or `selvedge.users.v1.UserService/GetUser`; none for all that holds whatever the method is.
    pub(crate) method: Option<String>,
    /// Headers of the call: some may lead it elsewhere.
    pub(crate) headers: HeaderMap,
}

/// An answer, as data and as text.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    /// The service was called: the answers of those who never did say little.
    pub(crate) called: bool,
    pub(crate) data: Value,
    pub(crate) text: String,
}

/// The meshes of a process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspected {
    meshes: Arc<Mutex<Vec<Weak<dyn Inspect>>>>,
}

impl Inspected {
    /// Tells of a mesh too, while it lives.
    pub(crate) fn add(&self, mesh: Weak<dyn Inspect>) {
        self.meshes.lock().unwrap_or_else(PoisonError::into_inner).push(mesh);
    }

    /// Returns those that live, or those of them with this name.
    fn meshes(&self, name: Option<&str>) -> Vec<Arc<dyn Inspect>> {
        let mut meshes = self.meshes.lock().unwrap_or_else(PoisonError::into_inner);
        meshes.retain(|mesh| mesh.strong_count() > 0);
        let named = |mesh: &Arc<dyn Inspect>| name.is_none_or(|name| mesh.mesh() == name);
        meshes.iter().filter_map(Weak::upgrade).filter(named).collect()
    }
}

/// Returns `/state` and `/explain`.
pub(crate) fn routes(inspected: Inspected) -> Router {
    Router::new().route("/state", get(state)).route("/explain", get(explain)).with_state(inspected)
}

type Pairs = Query<Vec<(String, String)>>;

/// All meshes, or those named by `mesh`, with what they know of the services that they call.
async fn state(State(inspected): State<Inspected>, Query(query): Pairs) -> Json<Value> {
    let meshes = inspected.meshes(value(&query, "mesh")).into_iter().map(|mesh| {
        let fields = [("mesh".to_owned(), mesh.mesh().into()), ("services".to_owned(), mesh.state())];
        Value::Object(Map::from_iter(fields))
    });
    Json(meshes.collect())
}

/// Explains a call of `service`, of `method`, with each `header` (`name:value`), by each mesh or that named by `mesh`;
/// as text, or as JSON if that is accepted or `format=json`.
async fn explain(State(inspected): State<Inspected>, headers: HeaderMap, Query(query): Pairs) -> Response {
    let asked = match asked(&query) {
        Ok(asked) => asked,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    let meshes = inspected.meshes(value(&query, "mesh"));
    let answers = meshes.iter().map(|mesh| mesh.explain(&asked));
    let (found, refused): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
    let mut found: Vec<Explained> = found.into_iter().flatten().collect();
    if found.iter().any(|one| one.called) {
        found.retain(|one| one.called);
    }
    if found.is_empty() {
        let mut reasons: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
        reasons.dedup();
        let nobody = "there is no such mesh in this process".to_owned();
        return refuse(StatusCode::NOT_FOUND, &if reasons.is_empty() { nobody } else { reasons.join("\n") });
    }
    let accepts = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    if accepts || value(&query, "format") == Some("json") {
        return Json(found.into_iter().map(|one| one.data).collect::<Value>()).into_response();
    }
    found.into_iter().map(|one| one.text).collect::<Vec<_>>().join("\n").into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

fn asked(query: &[(String, String)]) -> Result<Asked, String> {
    let service = value(query, "service").ok_or("which service? expected /explain?service=users&method=GetUser")?;
    let mut headers = HeaderMap::new();
    for (_, text) in query.iter().filter(|(name, _)| name == "header") {
        let bad = || format!("{text:?} is no header: expected name:value");
        let (name, value) = text.split_once(':').ok_or_else(bad)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| bad())?;
        headers.append(name, HeaderValue::try_from(value.trim()).map_err(|_| bad())?);
    }
    Ok(Asked { service: service.to_owned(), method: value(query, "method").map(str::to_owned), headers })
}

fn value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Asked, String> {
        asked(&pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn a_question_names_service_method_and_headers() {
        let asked = read(&[("service", "users"), ("method", "GetUser"), ("header", "x-user: ada")]).unwrap();
        assert_eq!((asked.service.as_str(), asked.method.as_deref()), ("users", Some("GetUser")));
        assert_eq!(asked.headers["x-user"], "ada");
        assert_eq!(read(&[("service", "users"), ("method", "")]).unwrap().method, None);
    }

    #[test]
    fn a_question_that_cannot_be_read_says_what_was_expected() {
        assert!(read(&[("method", "GetUser")]).unwrap_err().contains("service=users"));
        for header in ["x-user", "x user: ada", "x-user: a\nb"] {
            let refused = read(&[("service", "users"), ("header", header)]).unwrap_err();
            assert!(refused.contains("name:value"), "{refused}");
        }
    }
}
