//! The rows of products.

pub mod log;
pub mod read;

mod stock;
pub mod write;

mod row;

pub mod seed;

use selvedge_kit::{
    cache::{self, Cache, Copies},
    change_log,
    database::{Database, Migration, Schema},
    field::{Field, Kind},
    list::List,
    once,
};

use crate::product::{PRODUCTS, Product, USERS};

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
        Migration {
            version: 6,
            description: "lists",
            sqlite: include_str!("../migrations/sqlite/6_lists.sql"),
            postgres: include_str!("../migrations/postgres/6_lists.sql"),
        },
        Migration {
            version: 7,
            description: "list by price",
            sqlite: include_str!("../migrations/sqlite/7_price.sql"),
            postgres: include_str!("../migrations/postgres/7_price.sql"),
        },
    ],
};

/// What products can be listed by.
pub const LIST: List = List {
    collection: PRODUCTS,
    table: "products",
    fields: &[
        Field::unique("name", "id", Kind::Name { collection: PRODUCTS }),
        Field::new("display_name", "display_name", Kind::Text),
        Field::new("owner", "owner_id", Kind::Name { collection: USERS }),
        Field::new("price.currency_code", "price_currency", Kind::Text),
        Field::new("price.units", "price_units", Kind::Int),
        Field::new("available_quantity", "available_quantity", Kind::Int),
        Field::new("tags", "product", Kind::Texts { table: "product_tags", text: "tag" }),
        Field::new("create_time", "create_time", Kind::Time),
        Field::new("update_time", "update_time", Kind::Time),
    ],
    orders: &[&["price.currency_code", "price.units"]],
};

/// Products in a database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    copies: Copies<Product>,
}

/// What is written into a cache.
const COPIES: cache::Kind = cache::Kind { collection: PRODUCTS, format: SCHEMA.newest() };

impl Store {
    /// Keeps products in a database that has the [`SCHEMA`].
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, copies: Copies::new(Cache::default(), COPIES) }
    }

    /// Keeps copies of them in a cache.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { copies: Copies::new(cache, COPIES), ..self }
    }
}
