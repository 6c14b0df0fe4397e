//! Whether a service can do its work: as long as its database answers.

use std::{convert::Infallible, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use crate::database::{Database, Probe};

/// How often the database is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long it may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many answers in a row are believed, so that one that is lost, or one that comes between, changes nothing.
const BELIEVED: u32 = 2;

/// Asks the database again and again, and says whether it answers; while it does not, calls do not wait for it.
pub(crate) async fn follow(database: Database, healthy: watch::Sender<bool>) -> Infallible {
    let mut probe = Probe::new(&database, PATIENCE);
    let mut belief = Belief::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = probe.ask().await;
        match (belief.hear(asked.is_ok()), asked) {
            (Some(Change::Away), Err(error)) => warn!(error, "the database does not answer: not serving"),
            (Some(_), _) => info!("the database answers: serving"),
            (None, _) => continue,
        }
        database.set_away(belief.away);
        healthy.send_replace(!belief.away);
    }
}

/// What is believed of a database; at first that it answers, for it was opened.
#[derive(Clone, Copy, Debug, Default)]
struct Belief {
    away: bool,
    /// Answers in a row that say otherwise.
    otherwise: u32,
}

/// What is believed now, and was not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Away,
    Back,
}

impl Belief {
    /// Takes what one question found, and returns what changes by it.
    fn hear(&mut self, answered: bool) -> Option<Change> {
        let otherwise = answered == self.away;
        self.otherwise = if otherwise { self.otherwise + 1 } else { 0 };
        if self.otherwise < BELIEVED {
            return None;
        }
        *self = Self { away: !answered, otherwise: 0 };
        Some(if self.away { Change::Away } else { Change::Back })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(answers: &str) -> String {
        let mut belief = Belief::default();
        let tell = |answer: char| match belief.hear(answer == '+') {
            Some(Change::Away) => 'A',
            Some(Change::Back) => 'B',
            None => '.',
        };
        answers.chars().map(tell).collect()
    }

    #[test]
    fn two_answers_in_a_row_change_what_is_believed() {
        for (answers, changes) in [
            ("++++", "...."),
            ("+-+-+-", "......"),
            ("+--+--++-", "..A....B."),
            ("----++++", ".A...B.."),
            ("--+-+-+-", ".A......"),
        ] {
            assert_eq!(heard(answers), changes, "{answers}");
        }
    }
}
