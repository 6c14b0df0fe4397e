//! What becomes of the network and of the servers, server by server.

use std::time::Duration;

use rand::{Rng as _, rngs::SmallRng};
use turmoil::Sim;

use super::{SERVERS, STORM, name};

/// What ails the way to one server, or the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ailment {
    /// Nothing gets through, and nobody is told.
    Parted,
    /// Nothing gets there, or nothing back: a connection is open on one side.
    DeafTo,
    DeafFrom,
    /// What is sent comes later, all at once.
    Held,
    /// What is sent comes up to a second late.
    Late,
    /// Some of what is sent is lost.
    Lossy,
    /// The server is gone, with its connections.
    Crashed,
}

const AILMENTS: [Ailment; 7] = [
    Ailment::Parted,
    Ailment::DeafTo,
    Ailment::DeafFrom,
    Ailment::Held,
    Ailment::Late,
    Ailment::Lossy,
    Ailment::Crashed,
];

/// How it goes on.
#[derive(Debug)]
pub(super) struct Weather {
    rng: SmallRng,
    ailing: [Option<Ailment>; SERVERS],
    next: Duration,
    over: bool,
}

impl Weather {
    pub(super) fn new(rng: SmallRng) -> Self {
        Self { rng, ailing: [None; SERVERS], next: Duration::from_secs(3), over: false }
    }

    /// Changes it, if it is time to.
    pub(super) fn change(&mut self, sim: &mut Sim<'_>) {
        if self.over || sim.elapsed() < self.next {
            return;
        }
        self.next = sim.elapsed() + Duration::from_millis(self.rng.random_range(200..3_000));
        if sim.elapsed() >= STORM {
            self.over = true;
            return (0..SERVERS).for_each(|at| self.mend(sim, at));
        }
        let at = self.rng.random_range(0..SERVERS);
        match self.ailing[at] {
            Some(_) => self.mend(sim, at),
            None => {
                let ailment = AILMENTS[self.rng.random_range(0..AILMENTS.len())];
                begin(sim, &name(at), ailment);
                self.ailing[at] = Some(ailment);
            }
        }
    }

    fn mend(&mut self, sim: &mut Sim<'_>, at: usize) {
        if let Some(ailment) = self.ailing[at].take() {
            end(sim, &name(at), ailment);
        }
    }
}

fn begin(sim: &mut Sim<'_>, server: &str, ailment: Ailment) {
    match ailment {
        Ailment::Parted => sim.partition("client", server),
        Ailment::DeafTo => sim.partition_oneway("client", server),
        Ailment::DeafFrom => sim.partition_oneway(server, "client"),
        Ailment::Held => sim.hold("client", server),
        Ailment::Late => sim.set_link_max_message_latency("client", server, Duration::from_secs(1)),
        Ailment::Lossy => sim.set_link_fail_rate("client", server, 0.02),
        Ailment::Crashed => sim.crash(server),
    }
}

fn end(sim: &mut Sim<'_>, server: &str, ailment: Ailment) {
    match ailment {
        Ailment::Parted => sim.repair("client", server),
        Ailment::DeafTo => sim.repair_oneway("client", server),
        Ailment::DeafFrom => sim.repair_oneway(server, "client"),
        Ailment::Held => sim.release("client", server),
        Ailment::Late => sim.set_link_max_message_latency("client", server, Duration::from_millis(20)),
        Ailment::Lossy => {
            sim.set_link_fail_rate("client", server, 0.0);
            // A link that lost something loses all from then on.
            sim.repair("client", server);
        }
        Ailment::Crashed => sim.bounce(server),
    }
}
