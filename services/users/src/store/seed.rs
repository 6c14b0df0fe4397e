//! Many users at once, to try out what a large system does.
//!
//! They are a series that is always the same: the user of a number depends on nothing but the number.

use std::ops::Range;

use rand::{SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use selvedge_kit::database::{Statement, Writer};

use crate::{error::Error, store::Store};

const GIVEN: [&str; 12] = [
    "Ada",
    "Alan",
    "Barbara",
    "Donald",
    "Edsger",
    "Frances",
    "Grace",
    "John",
    "Katherine",
    "Margaret",
    "Niklaus",
    "Tony",
];
const FAMILY: [&str; 12] = [
    "Allen", "Backus", "Dijkstra", "Hamilton", "Hoare", "Hopper", "Johnson", "Knuth", "Liskov", "Lovelace", "Turing",
    "Wirth",
];
/// 2024-01-01, in microseconds since 1970, and how much later each user is created.
const FIRST_CREATED: i64 = 1_704_067_200_000_000;
const EVERY: i64 = 60_000_000;
/// Rows of one statement. SQLite looks for each of its parameters in the list of them all: more rows take longer each.
const AT_ONCE: usize = 50;

impl Store {
    /// Adds the users of these numbers, as `users/user-0000042`. Who is there stays as they are.
    ///
    /// Returns how many were added.
    ///
    /// # Errors
    ///
    /// [`Error::Database`]; then none was added.
    pub async fn seed(&self, numbers: Range<u64>) -> Result<u64, Error> {
        let mut transaction = self.database.begin().await?;
        let mut added = 0;
        let numbers: Vec<_> = numbers.collect();
        for numbers in numbers.chunks(AT_ONCE) {
            added += transaction.run(insert(numbers)).await?;
        }
        transaction.commit().await?;
        Ok(added)
    }

    /// Lets the engine learn how many rows there are of what.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn analyze(&self) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        transaction.run(Statement::new("analyze users")).await?;
        Ok(transaction.commit().await?)
    }
}

fn insert(numbers: &[u64]) -> Statement {
    let mut sql = Writer::new();
    sql.push("insert into users (id, display_name, email, email_key, create_time, update_time, revision) values ");
    for (i, number) in numbers.iter().enumerate() {
        sql.push(if i == 0 { "(" } else { ", (" });
        values(*number, &mut sql);
        sql.push(", 1)");
    }
    sql.push(" on conflict do nothing");
    sql.finish()
}

fn values(number: u64, sql: &mut Writer) {
    let mut random = StdRng::seed_from_u64(number);
    let mut one_of = |words: &[&'static str]| *words.choose(&mut random).expect("there are some");
    let (given, family) = (one_of(&GIVEN), one_of(&FAMILY));
    let email = format!("user-{number:07}@example.com");
    let created = FIRST_CREATED + EVERY * i64::try_from(number).unwrap_or_default();
    sql.bind(format!("user-{number:07}")).push(", ").bind(format!("{given} {family}")).push(", ");
    sql.bind(email.as_str()).push(", ").bind(email.as_str()).push(", ");
    sql.bind(created).push(", ").bind(created);
}
