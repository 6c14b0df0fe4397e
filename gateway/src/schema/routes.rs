//! Finds the route of a path: a trie over segments in which the most specific route wins, whatever the order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    percent,
    schema::template::{Piece, Template},
};

/// All routes; `T` is what a route leads to.
#[derive(Clone, Debug)]
pub(crate) struct Routes<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    literals: HashMap<String, Node<T>>,
    single: Option<Box<Node<T>>>,
    rest: Option<Box<Node<T>>>,
    /// By the text after `:`, and then by the method of HTTP (`*` for any).
    ends: HashMap<Option<String>, BTreeMap<String, T>>,
}

/// What was found for a method of HTTP and a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Matched<'r, 'p, T> {
    /// A route, and the segments that its variables are taken from.
    Route(&'r T, Vec<&'p str>),
    /// The path has only these methods of HTTP.
    WrongVerb(BTreeSet<&'r str>),
    /// The path leads nowhere.
    Nothing,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: HashMap::new(), single: None, rest: None, ends: HashMap::new() }
    }
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Routes<T> {
    /// Adds a route, unless one of the same shape and method of HTTP is there: returns that one.
    pub(crate) fn insert(&mut self, http: &str, template: &Template, route: T) -> Result<(), &T> {
        let mut node = &mut self.root;
        for piece in &template.pieces {
            node = match piece {
                Piece::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Piece::Single => node.single.get_or_insert_default(),
                Piece::Rest => node.rest.get_or_insert_default(),
            };
        }
        let end = node.ends.entry(template.verb.clone()).or_default();
        if end.contains_key(http) {
            return Err(&end[http]);
        }
        end.insert(http.to_owned(), route);
        Ok(())
    }

    /// Finds the most specific route: a literal goes before `*`, and `*` before `**`, from left to right.
    ///
    /// Text after the last `:` of the last segment is a custom verb if a route has it there, else part of the segment.
    pub(crate) fn find<'r, 'p>(&'r self, http: &str, path: &'p str) -> Matched<'r, 'p, T> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let segments: Vec<&str> = if inner.is_empty() { Vec::new() } else { inner.split('/').collect() };
        if let Some((stem, verb)) = segments.last().and_then(|last| last.rsplit_once(':')) {
            let mut stemmed = segments.clone();
            stemmed.pop();
            // `/:verb` is the path `/` with a verb, and that has no segment.
            if !stemmed.is_empty() || !stem.is_empty() {
                stemmed.push(stem);
            }
            let found = self.find_with(http, stemmed, Some(verb));
            if !matches!(found, Matched::Nothing) {
                return found;
            }
        }
        self.find_with(http, segments, None)
    }

    fn find_with<'r, 'p>(&'r self, http: &str, segments: Vec<&'p str>, verb: Option<&str>) -> Matched<'r, 'p, T> {
        let decoded: Vec<String> =
            segments.iter().map(|text| percent::decode(text).unwrap_or_else(|_| (*text).to_owned())).collect();
        let verb = verb.map(|verb| percent::decode(verb).unwrap_or_else(|_| verb.to_owned()));
        let mut search = Search { http, verb, allowed: BTreeSet::new() };
        match search.walk(&self.root, &decoded) {
            Some(route) => Matched::Route(route, segments),
            None if search.allowed.is_empty() => Matched::Nothing,
            None => Matched::WrongVerb(search.allowed),
        }
    }
}

/// One search; remembers which methods of HTTP the path would have had.
struct Search<'r, 'h> {
    http: &'h str,
    verb: Option<String>,
    allowed: BTreeSet<&'r str>,
}

impl<'r> Search<'r, '_> {
    /// The depth is that of the deepest template, so a long path costs no more than a short one.
    fn walk<T>(&mut self, node: &'r Node<T>, segments: &[String]) -> Option<&'r T> {
        let here = match segments.split_first() {
            None => self.end(node),
            Some((first, after)) => {
                let literal = node.literals.get(first).and_then(|next| self.walk(next, after));
                let single = node.single.as_deref().filter(|_| !first.is_empty());
                literal.or_else(|| single.and_then(|next| self.walk(next, after)))
            }
        };
        here.or_else(|| node.rest.as_deref().and_then(|rest| self.end(rest)))
    }

    fn end<T>(&mut self, node: &'r Node<T>) -> Option<&'r T> {
        let ends = node.ends.get(&self.verb)?;
        let found = ends.get(self.http).or_else(|| ends.get("*"));
        if found.is_none() {
            self.allowed.extend(ends.keys().map(String::as_str));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(templates: &[&'static str]) -> Routes<&'static str> {
        let mut routes = Routes::default();
        for text in templates {
            let (http, template) = text.split_once(' ').unwrap();
            routes.insert(http, &Template::parse(template).unwrap(), *text).unwrap();
        }
        routes
    }

    const TEMPLATES: [&str; 13] = [
        "GET /v1/users",
        "GET /v1/users/{id}",
        "GET /v1/users/me",
        "GET /v1/{name=**}",
        "GET /v1/{name=users/*/keys/*}",
        "GET /v1/*/me",
        "POST /v1/users/{id}:cancel",
        "DELETE /v1/users/{id}",
        "GET /v1/users:search",
        "GET /a%20b/{x}",
        "* /any/{x}",
        "GET /",
        "GET /:all",
    ];

    #[test]
    fn the_most_specific_route_is_found() {
        let routes = routes(&TEMPLATES);
        for (http, path, wanted) in [
            ("GET", "/v1/users", "GET /v1/users"),
            ("GET", "/v1/users/me", "GET /v1/users/me"),
            ("GET", "/v1/users/ann", "GET /v1/users/{id}"),
            ("GET", "/v1/users/a:b", "GET /v1/users/{id}"),
            ("GET", "/v1/users/a%3Acancel", "GET /v1/users/{id}"),
            ("GET", "/v1/users/%6de", "GET /v1/users/me"),
            ("GET", "/v1/groups/me", "GET /v1/*/me"),
            ("GET", "/v1/users/1/keys/2", "GET /v1/{name=users/*/keys/*}"),
            ("GET", "/v1/users/1/keys", "GET /v1/{name=**}"),
            ("GET", "/v1/users/", "GET /v1/{name=**}"),
            ("GET", "/v1", "GET /v1/{name=**}"),
            ("POST", "/v1/users/ann:cancel", "POST /v1/users/{id}:cancel"),
            ("GET", "/v1/users:search", "GET /v1/users:search"),
            ("GET", "/a%20b/c", "GET /a%20b/{x}"),
            ("PURGE", "/any/c", "* /any/{x}"),
            ("GET", "/", "GET /"),
            ("GET", "/:all", "GET /:all"),
        ] {
            let found = routes.find(http, path);
            assert!(matches!(found, Matched::Route(route, _) if *route == wanted), "{http} {path}: {found:?}");
        }
    }

    #[test]
    fn a_wrong_verb_is_told_from_a_wrong_path() {
        let routes = routes(&TEMPLATES);
        assert_eq!(routes.find("GET", "/nothing"), Matched::Nothing);
        assert_eq!(routes.find("PUT", "/v1/users/ann"), Matched::WrongVerb(["DELETE", "GET"].into()));
        assert_eq!(routes.find("GET", "/v1/users/ann:cancel"), Matched::WrongVerb(["POST"].into()));
    }

    #[test]
    fn the_first_of_one_shape_keeps_it() {
        let mut routes = routes(&["GET /v1/users/{id}"]);
        let same = Template::parse("/v1/{name=users/*}").unwrap();
        assert_eq!(routes.insert("GET", &same, "later"), Err(&"GET /v1/users/{id}"));
        assert!(routes.insert("PATCH", &same, "later").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_found_does_not_depend_on_the_order(
            order in Just(TEMPLATES.to_vec()).prop_shuffle(),
            path in "(/(v1|users|me|keys|any|x|)){0,5}(:cancel|:search|:x)?",
            http in "GET|POST|DELETE",
        ) {
            let (sorted, shuffled) = (routes(&TEMPLATES), routes(&order));
            prop_assert_eq!(sorted.find(&http, &path), shuffled.find(&http, &path));
        }

        #[test]
        fn no_path_can_break_it(path in "\\PC{0,40}|(/?[:%*.a-f0-9]{0,4}){0,8}") {
            _ = routes(&TEMPLATES).find("GET", &path);
        }
    }
}
