//! A fixed list of addresses: `fixed://10.0.0.7:50051,10.0.0.8:50051`.

use std::sync::Arc;

use tokio::sync::watch::{self, Receiver};

use crate::discovery::{Instance, Instances, Resolve, Services, place::host_and_port};

/// Addresses that never change.
#[derive(Debug)]
pub(crate) struct Fixed {
    text: String,
    instances: watch::Sender<Instances>,
    services: watch::Sender<Services>,
    bad: bool,
}

impl Fixed {
    /// Reads the addresses, with commas between. One that cannot be read spoils the list: calls say so.
    pub(crate) fn new(text: &str) -> Self {
        let read: Option<Arc<[Instance]>> = text.split(',').map(|part| instance(part.trim())).collect();
        let bad = read.is_none();
        let instances = watch::Sender::new(Instances::Known(read.unwrap_or_default()));
        Self { text: text.to_owned(), instances, services: watch::Sender::new(None), bad }
    }
}

impl Resolve for Fixed {
    fn instances(&self, _: &str) -> Receiver<Instances> {
        self.instances.subscribe()
    }

    fn services(&self) -> Receiver<Services> {
        self.services.subscribe()
    }

    fn describe(&self) -> String {
        let hint = if self.bad { " (expected host:port,host:port)" } else { "" };
        format!("the fixed list {:?}{hint}", self.text)
    }
}

fn instance(text: &str) -> Option<Instance> {
    let (host, port) = host_and_port(text)?;
    Some(Instance::at(text, host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Vec<(String, u16)> {
        let Instances::Known(list) = Fixed::new(text).instances("").borrow().clone() else { panic!("known") };
        list.iter().map(|one| (one.host.clone(), one.port)).collect()
    }

    #[test]
    fn a_list_is_known_at_once() {
        assert_eq!(
            known("127.0.0.1:1, [::1]:2,users.example:3"),
            [("127.0.0.1".into(), 1), ("::1".into(), 2), ("users.example".into(), 3)]
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_says_what_was_expected() {
        for bad in ["", "127.0.0.1", "127.0.0.1:1,", "a b:1"] {
            assert_eq!(known(bad), []);
            let told = Fixed::new(bad).describe();
            assert!(told.contains(bad) && told.contains("expected host:port"), "{told}");
        }
    }
}
