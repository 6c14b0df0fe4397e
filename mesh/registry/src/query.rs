//! The query of a request, and the rules that all reads share.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Path, Query as Pairs},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};

use crate::{
    access::Caller,
    answer::Refusal,
    duration::GoDuration,
    filter::{Filter, Mistake, literal::go_bool, shape::Shape},
    record::Node,
    store::Shared,
};

/// How long a blocking read waits if it does not say, and at most (Consul's values).
const DEFAULT_WAIT: Duration = Duration::from_secs(300);
const MAX_WAIT: Duration = Duration::from_secs(600);
/// A parameter that chooses among the answers, and that this registry does not have: ignored, it would give too much.
const NOT_HAD: &str = "peer";
const TOKEN: &str = "x-consul-token";
const BEARER: &str = "bearer ";

/// The pairs of the query, in their order, and who asks.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    pub(crate) caller: Caller,
}

impl Query {
    /// Returns the first value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Returns each value of a key that may be repeated.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns a flag that is set by its mere name; an error if the value is no boolean of Go.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, ()> {
        match self.get(key) {
            None => Ok(false),
            Some("") => Ok(true),
            Some(text) => go_bool(text).ok_or(()),
        }
    }

    /// Returns the reason if maintenance is to begin, which may be empty; none if it is to end.
    pub(crate) fn maintenance(&self) -> Result<Option<&str>, Refusal> {
        let enable = match self.get("enable").unwrap_or_default() {
            "" => return Err(Refusal::bad_request("Missing value for enable")),
            text => go_bool(text).ok_or_else(|| Refusal::bad_request(format!("Invalid value for enable: {text:?}")))?,
        };
        Ok(enable.then(|| self.get("reason").unwrap_or_default()))
    }
}

impl FromRequestParts<Shared> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::from_request_parts(parts, shared)
            .await
            .map_err(|_| Refusal::bad_request("Invalid query"))?;
        let query = Self { pairs, caller: Caller::default() };
        let caller = Caller::of(token(&query, &parts.headers).as_deref(), shared.token());
        Ok(Self { caller, ..query })
    }
}

/// Returns the token that a request names: in its query, its own header, or as a bearer's, in this order.
fn token(query: &Query, headers: &HeaderMap) -> Option<String> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || {
        let value = header(AUTHORIZATION.as_str())?;
        let scheme = value.get(..BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| value[BEARER.len()..].trim())
    };
    let named = [query.get("token"), header(TOKEN), bearer()];
    named.into_iter().flatten().find(|token| !token.is_empty()).map(str::to_owned)
}

/// Parameters of Consul Enterprise, and what they would choose.
const PARTITION: (&str, &str) = ("partition", "Partitions");
const SCOPES: [(&str, &str); 2] = [("ns", "Namespaces"), PARTITION];

impl Query {
    /// Refuses a namespace or partition, where a request is looked at before that.
    pub(crate) fn unscoped(&self) -> Result<(), Refusal> {
        self.without(&SCOPES)
    }

    /// Refuses a partition, where a namespace means nothing.
    pub(crate) fn unpartitioned(&self) -> Result<(), Refusal> {
        self.without(&[PARTITION])
    }

    fn without(&self, scopes: &[(&str, &str)]) -> Result<(), Refusal> {
        if let Some((key, what)) = scopes.iter().find(|(key, _)| self.has(key)) {
            let text = format!("Invalid query parameter: \"{key}\" - {what} are a Consul Enterprise feature");
            return Err(Refusal::bad_request(text));
        }
        if self.has(NOT_HAD) {
            let text = format!("this registry does not have ?{NOT_HAD}: leave it out, or use a Consul");
            return Err(Refusal::internal(text));
        }
        Ok(())
    }

    /// Returns the index to wait past, and how long; 0 does not wait.
    pub(crate) fn waiting(&self) -> Result<(u64, Duration), Refusal> {
        let index = match self.get("index").unwrap_or_default() {
            "" => 0,
            text => text.parse().map_err(|_| Refusal::bad_request("Invalid index"))?,
        };
        let wait = match self.get("wait").unwrap_or_default() {
            "" => GoDuration::default(),
            text => GoDuration::parse(text).map_err(|_| Refusal::bad_request("Invalid wait time"))?,
        };
        Ok((index, wait.positive().unwrap_or(DEFAULT_WAIT).min(MAX_WAIT)))
    }
}

/// A query of a request about services and checks: a namespace or partition is refused, as Consul without them does.
#[derive(Debug)]
pub(crate) struct Scoped(pub(crate) Query);

impl FromRequestParts<Shared> for Scoped {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, shared).await?;
        query.unscoped()?;
        Ok(Self(query))
    }
}

/// How current an answer must be; the one node always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    Leader,
    Stale,
    Consistent,
}

/// The parameters of a read that can block.
#[derive(Debug)]
pub(crate) struct Read {
    /// The index to wait past; 0 does not wait.
    pub(crate) index: u64,
    pub(crate) wait: Duration,
    pub(crate) consistency: Consistency,
    pub(crate) cached: bool,
    pub(crate) query: Query,
}

impl Query {
    /// Returns the filter over items of a shape.
    pub(crate) fn filter(&self, shape: &'static Shape) -> Result<Filter, Refusal> {
        self.caller.known()?;
        Filter::new(self.get("filter").unwrap_or_default(), shape).map_err(|mistake| mistaken(&mistake))
    }

    /// Whether a node has the metadata that is asked for (`node-meta=key:value`).
    pub(crate) fn takes_node(&self, node: &Node) -> bool {
        self.all("node-meta").all(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            node.meta.as_ref().and_then(|meta| meta.get(key)).is_some_and(|known| known == value)
        })
    }
}

/// Refuses a filter as most endpoints do.
pub(crate) fn mistaken(mistake: &Mistake) -> Refusal {
    Refusal::internal(format!("Failed to create boolean expression evaluator: {mistake}"))
}

impl FromRequestParts<Shared> for Read {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let Scoped(query) = Scoped::from_request_parts(parts, shared).await?;
        read(query, shared.datacenter())
    }
}

/// A read that takes a namespace and ignores it.
pub(crate) fn read(query: Query, datacenter: &str) -> Result<Read, Refusal> {
    let (index, wait) = query.waiting()?;
    let (stale, consistent, cached) = (query.has("stale"), query.has("consistent"), query.has("cached"));
    let conflict =
        |with| Refusal::bad_request(format!("Cannot specify ?{with} with ?consistent, conflicting semantics."));
    let consistency = match (stale, consistent) {
        (true, true) => return Err(conflict("stale")),
        (_, true) if cached => return Err(conflict("cached")),
        (true, false) => Consistency::Stale,
        (false, true) => Consistency::Consistent,
        (false, false) => Consistency::Leader,
    };
    known_datacenter(&query, datacenter)?;
    Ok(Read { index, wait, consistency, cached, query })
}

/// Refuses to ask another datacenter: there is none.
pub(crate) fn known_datacenter(query: &Query, own: &str) -> Result<(), Refusal> {
    match query.get("dc") {
        Some(name) if !name.is_empty() && name != own => Err(Refusal::internal("No path to datacenter")),
        Some(_) | None => Ok(()),
    }
}

/// The last part of a path, which may be empty and may contain slashes.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl FromRequestParts<Shared> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let path = <Path<String> as axum::extract::OptionalFromRequestParts<Shared>>::from_request_parts(parts, shared);
        match path.await {
            Ok(name) => Ok(Self(name.map(|Path(name)| name).unwrap_or_default())),
            Err(_) => Err(Refusal::bad_request("Invalid path")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Read, Refusal> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        read(Query { pairs: pairs.collect(), ..Query::default() }, "dc1")
    }

    #[test]
    fn a_wait_is_bounded_and_has_a_default() {
        let wait = |text| parse(&[("index", "1"), ("wait", text)]).map(|read| read.wait).ok();
        assert_eq!(wait("5s"), Some(Duration::from_secs(5)));
        assert_eq!(wait("11m"), Some(MAX_WAIT));
        assert_eq!(wait("-5s"), Some(DEFAULT_WAIT));
        assert_eq!(wait(""), Some(DEFAULT_WAIT));
        assert_eq!(wait("5"), None);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let text =
            |pairs: &[(&str, &str)]| parse(pairs).map(|read| read.index).map_err(|refusal| refusal.text.into_owned());
        assert_eq!(text(&[("index", "7")]), Ok(7));
        assert_eq!(text(&[("index", "-1")]), Err("Invalid index".to_owned()));
        assert!(text(&[("stale", ""), ("consistent", "")]).is_err_and(|text| text.contains("?stale")));
        assert!(text(&[("cached", ""), ("consistent", "")]).is_err_and(|text| text.contains("?cached")));
        assert_eq!(text(&[("dc", "dc2")]), Err("No path to datacenter".to_owned()));
        assert_eq!(text(&[("dc", "dc1")]), Ok(0));
    }

    #[test]
    fn flags_are_set_by_name_or_by_gos_booleans() {
        let flag = |value: &str| {
            let pairs = vec![("passing".to_owned(), value.to_owned())];
            Query { pairs, ..Query::default() }.flag("passing")
        };
        assert_eq!([flag(""), flag("1"), flag("false"), flag("no")], [Ok(true), Ok(true), Ok(false), Err(())]);
        assert_eq!(Query::default().flag("passing"), Ok(false));
    }
}
