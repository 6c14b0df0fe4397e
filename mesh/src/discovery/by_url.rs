//! Other sources than the registry, by the URL that a service is called by: `dns://…` and `fixed://…`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch::Receiver;

use crate::{
    consul::polls::Usage,
    discovery::{Instances, Resolve, Services, dns::Dns, fixed::Fixed},
};

/// The registry, and what is called by a URL instead of a name.
#[derive(Debug)]
pub(crate) struct Sources {
    registry: Arc<dyn Resolve>,
    hold: Duration,
    by_url: Mutex<HashMap<String, Arc<dyn Resolve>>>,
}

impl Sources {
    pub(crate) fn new(registry: Arc<dyn Resolve>, hold: Duration) -> Self {
        Self { registry, hold, by_url: Mutex::default() }
    }

    /// Returns who knows the instances of what is called so.
    fn of(&self, called: &str) -> Arc<dyn Resolve> {
        let Some((scheme @ ("dns" | "fixed"), rest)) = called.split_once("://") else {
            return Arc::clone(&self.registry);
        };
        let mut known = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        let source = known.entry(called.to_owned()).or_insert_with(|| match scheme {
            "dns" => Arc::new(Dns::new(rest, self.hold)),
            _ => Arc::new(Fixed::new(rest)),
        });
        Arc::clone(source)
    }
}

impl Resolve for Sources {
    fn instances(&self, called: &str) -> Receiver<Instances> {
        self.of(called).instances(called)
    }

    fn services(&self) -> Receiver<Services> {
        self.registry.services()
    }

    fn describe(&self) -> String {
        self.registry.describe()
    }

    fn usage(&self, called: &str) -> Usage {
        self.of(called).usage(called)
    }

    fn age(&self, called: &str) -> Option<Duration> {
        self.of(called).age(called)
    }

    fn describe_source(&self, called: &str) -> String {
        self.of(called).describe()
    }
}

/// Returns what servers are told they are called by (`:authority`).
pub(crate) fn authority(called: &str) -> &str {
    match called.split_once("://") {
        Some(("dns", rest)) => rest.rsplit('/').next().unwrap_or(rest),
        Some(("fixed", rest)) => rest.split(',').next().unwrap_or(rest).trim(),
        _ => called,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_scheme_has_its_source() {
        let registry: Arc<dyn Resolve> = Arc::new(Fixed::new("10.0.0.1:1"));
        let sources = Sources::new(registry, Duration::ZERO);
        for (called, port, described) in
            [("users", 1, "10.0.0.1:1"), ("fixed://10.0.0.2:2", 2, "10.0.0.2:2"), ("dns://10.0.0.3:3", 3, "dns by")]
        {
            let mut followed = sources.instances(called);
            let known = followed.wait_for(|known| *known != Instances::Unknown).await.unwrap().clone();
            let Instances::Known(list) = known else { panic!("known") };
            assert_eq!(list[0].port, port, "{called}");
            assert!(sources.describe_source(called).contains(described), "{called}");
        }
    }

    #[test]
    fn servers_are_told_the_name_that_was_called() {
        for (called, told) in [
            ("users", "users"),
            ("dns://users.example:80", "users.example:80"),
            ("dns://10.0.0.2:53/users.example:80", "users.example:80"),
            ("dns:///users.example:80", "users.example:80"),
            ("fixed://127.0.0.1:1, 127.0.0.1:2", "127.0.0.1:1"),
        ] {
            assert_eq!(authority(called), told);
        }
    }
}
