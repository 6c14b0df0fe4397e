//! The rows of products.

mod log;
mod read;

mod stock;
pub mod write;

mod row;

use selvedge_kit::{
    change_log,
    database::{Database, Migration, Schema},
    once,
};

/// The tables.
pub const SCHEMA: Schema = Schema {
    name: "catalog",
    migrations: &[
        Migration {
            version: 1,
            description: "products",
            sqlite: include_str!("../migrations/sqlite/1_products.sql"),
            postgres: include_str!("../migrations/postgres/1_products.sql"),
        },
        Migration {
            version: 2,
            description: "stock",
            sqlite: include_str!("../migrations/sqlite/2_stock.sql"),
            postgres: include_str!("../migrations/postgres/2_stock.sql"),
        },
        Migration { version: 3, description: "request ids", sqlite: once::TABLE, postgres: once::TABLE },
        Migration {
            version: 4,
            description: "changes of products",
            sqlite: include_str!("../migrations/sqlite/4_changes.sql"),
            postgres: include_str!("../migrations/postgres/4_changes.sql"),
        },
        Migration { version: 5, description: "change log", sqlite: change_log::TABLES, postgres: change_log::TABLES },
    ],
};

/// Products in a database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Keeps products in a database that has the [`SCHEMA`].
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}
