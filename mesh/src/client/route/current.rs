//! The routes of one service as they are now: made anew when the operator, or a descriptor that was learned, says
//! otherwise.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;

use crate::{
    client::route::RouteTable,
    policy::{
        live::{Live, Said},
        options::Methods,
    },
};

/// The routes of one service, and what they are made of.
#[derive(Debug)]
pub(crate) struct Routes {
    service: Arc<str>,
    /// What the descriptors say that the program was made with.
    told: Arc<Methods>,
    default_deadline: Duration,
    policy: Live,
    /// What the descriptors say that were learned later; it goes before what was told.
    learned: Mutex<Methods>,
    made: ArcSwap<Made>,
}

#[derive(Debug)]
struct Made {
    said: Arc<Said>,
    table: Arc<RouteTable>,
}

impl Routes {
    pub(crate) fn new(service: Arc<str>, told: Arc<Methods>, default_deadline: Duration, policy: Live) -> Self {
        let (said, learned) = (Arc::clone(&policy.said()), Mutex::new(Methods::new()));
        let table = RouteTable::new(Arc::clone(&service), &[&told], default_deadline, said.document.clone());
        let made = ArcSwap::from_pointee(Made { said, table: Arc::new(table) });
        Self { service, told, default_deadline, policy, learned, made }
    }

    /// Returns the routes as they are now.
    pub(crate) fn load(&self) -> Arc<RouteTable> {
        let made = self.made.load();
        if Arc::ptr_eq(&made.said, &self.policy.said()) {
            return Arc::clone(&made.table);
        }
        drop(made);
        self.make(&self.learned())
    }

    /// Takes over what descriptors say that were learned, in place of what was learned before.
    pub(crate) fn learn(&self, methods: Methods) {
        let mut learned = self.learned();
        *learned = methods;
        self.make(&learned);
    }

    fn make(&self, learned: &MutexGuard<'_, Methods>) -> Arc<RouteTable> {
        let Self { service, told, default_deadline, policy, made, .. } = self;
        let (said, methods) = (Arc::clone(&policy.said()), [&**told, &**learned]);
        let table = RouteTable::new(Arc::clone(service), &methods, *default_deadline, said.document.clone());
        let table = Arc::new(table);
        made.store(Arc::new(Made { said, table: Arc::clone(&table) }));
        table
    }

    fn learned(&self) -> MutexGuard<'_, Methods> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::call::CallOptions,
        policy::{
            cluster::ClusterPolicy,
            document::Document,
            method::{MethodPolicy, Origin, Sourced},
            options::Method,
        },
    };

    const GET: &str = "/test.v1.Echo/Get";

    fn methods(max_attempts: u32) -> Methods {
        let policy = MethodPolicy { max_attempts: Some(max_attempts), ..MethodPolicy::default() };
        [(GET.to_owned(), Method { unary: true, policy })].into()
    }

    fn attempts(routes: &Routes, path: &str) -> (u32, Origin) {
        let Sourced { value, origin } = routes.load().policy(path, &CallOptions::default()).max_attempts;
        (value, origin)
    }

    #[test]
    fn what_the_operator_says_and_what_is_learned_holds_from_then_on() {
        let live = Live::from(ClusterPolicy::default());
        let deadline = Duration::from_secs(15);
        let routes = Routes::new("users".into(), Arc::new(methods(2)), deadline, live.clone());
        assert_eq!(attempts(&routes, GET), (2, Origin::Proto));
        live.accept(Some(Document::read(b"methods: {Get: {max_attempts: 4}, Put: {max_attempts: 5}}").unwrap()))
            .unwrap();
        assert_eq!(attempts(&routes, GET), (4, Origin::Kv));
        assert_eq!(attempts(&routes, "/test.v1.Echo/Put"), (5, Origin::Kv), "no descriptor tells of it");
        assert_eq!(attempts(&routes, "/test.v1.Echo/List"), (3, Origin::Default));
        live.accept(None).unwrap();
        assert_eq!(attempts(&routes, GET), (2, Origin::Proto));
        routes.learn(methods(1));
        assert_eq!(attempts(&routes, GET), (1, Origin::Proto));
        routes.learn(Methods::new());
        assert_eq!(attempts(&routes, GET), (2, Origin::Proto), "what the program was made with");
    }

    #[test]
    fn the_call_site_goes_before_the_operator() {
        let live = Live::from(ClusterPolicy::default());
        live.accept(Some(Document::read(b"service: {max_attempts: 4, deadline: 2s}").unwrap())).unwrap();
        let routes = Routes::new("users".into(), Arc::default(), Duration::from_secs(15), live);
        let policy = MethodPolicy { max_attempts: Some(1), ..MethodPolicy::default() };
        let options = CallOptions { policy, ..CallOptions::default() };
        let policy = routes.load().policy(GET, &options);
        assert_eq!(policy.max_attempts, Sourced { value: 1, origin: Origin::CallSite });
        assert_eq!(policy.deadline, Sourced { value: Some(Duration::from_secs(2)), origin: Origin::Kv });
    }
}
