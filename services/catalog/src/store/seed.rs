//! Many products at once, to try out what a large shop does.
//!
//! They are a series that is always the same: the product of a number, and the user who sells it, depend on nothing but
//! the number. They are not in the change log.

use std::ops::Range;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use selvedge_kit::database::{Statement, Writer};

use crate::{error::Error, store::Store};

const MATERIALS: [&str; 12] =
    ["Ash", "Birch", "Brass", "Cedar", "Cherry", "Cotton", "Felt", "Flax", "Linen", "Oak", "Silk", "Wool"];
const THINGS: [&str; 16] = [
    "Beam", "Bobbin", "Carder", "Comb", "Distaff", "Frame", "Heddle", "Loom", "Reed", "Reel", "Shuttle", "Spindle",
    "Swift", "Treadle", "Warp", "Yarn",
];
const TAGS: [&str; 8] = ["antique", "children", "handmade", "large", "new", "small", "used", "wood"];
const CURRENCIES: [&str; 3] = ["EUR", "GBP", "USD"];
const NANOS: [i64; 3] = [0, 500_000_000, 990_000_000];
/// Products to one user who sells.
const OF_ONE_OWNER: u64 = 10;
/// 2025-01-01, in microseconds since 1970, and how much later each product is created.
const FIRST_CREATED: i64 = 1_735_689_600_000_000;
const EVERY: i64 = 20_000_000;
/// Rows of one statement. SQLite looks for each of its parameters in the list of them all: more rows take longer each.
const AT_ONCE: usize = 50;

impl Store {
    /// Adds the products of these numbers, as `products/product-0000042`, sold by `users/user-0000004` and others: of
    /// `n` products by `n / 10` users, rounded up, beginning with 0. What is there stays as it is.
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
        for table in ["analyze products", "analyze product_tags"] {
            transaction.run(Statement::new(table)).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Returns when the product of a number was created: microseconds since 1970.
#[must_use]
pub fn created(number: u64) -> i64 {
    FIRST_CREATED + EVERY * i64::try_from(number).unwrap_or_default()
}

fn insert(numbers: &[u64]) -> Statement {
    let mut sql = Writer::new();
    sql.push(
        "insert into products (id, display_name, description, price_currency, price_units, price_nanos, owner_id,
         tags, available_quantity, create_time, update_time, revision) values ",
    );
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
    let (material, thing, currency) = (one_of(&MATERIALS), one_of(&THINGS), one_of(&CURRENCIES));
    let nanos = *NANOS.choose(&mut random).expect("there are some");
    let tags: Vec<_> = TAGS.into_iter().filter(|_| random.random_ratio(1, 8)).collect();
    let owner = random.random_range(0..=number / OF_ONE_OWNER);
    let created = created(number);
    let changed = created + random.random_range(0..EVERY * 1_000);
    sql.bind(format!("product-{number:07}")).push(", ");
    sql.bind(format!("{material} {thing} {}", number % 1_000)).push(", ");
    sql.bind(format!("A {} of {}.", thing.to_lowercase(), material.to_lowercase())).push(", ");
    sql.bind(currency).push(", ").bind(random.random_range(1..2_000_i64)).push(", ").bind(nanos).push(", ");
    sql.bind(format!("user-{owner:07}")).push(", ");
    sql.bind(serde_json::to_string(&tags).expect("texts are JSON")).push(", ");
    sql.bind(random.random_range(0..1_000_i64)).push(", ").bind(created).push(", ").bind(changed);
}
