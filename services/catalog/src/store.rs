//! The rows of products.

use futures::{TryStreamExt as _, future};
use selvedge_kit::{
    database::{BEGIN_WRITE, Migration},
    page::{Page, Request},
};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};

use crate::{
    error::Error,
    product::{PRODUCTS, Price, Product},
};

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, description: "products", sql: include_str!("../migrations/1_products.sql") }];

/// Bytes of a product on the wire besides its own text, and of a tag besides its own.
const FRAME_BYTES: usize = 256;
const TAG_FRAME_BYTES: usize = 4;

/// Products in a database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

/// A product to insert; everything was checked.
#[derive(Clone, Debug)]
pub struct New {
    /// The last part of its name.
    pub id: String,
    /// What it is called.
    pub display_name: String,
    /// What is to be said about it.
    pub description: String,
    /// What one piece costs.
    pub price: Price,
    /// The last part of the owner's name.
    pub owner_id: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How many pieces there are.
    pub available_quantity: i64,
    /// Microseconds since 1970.
    pub now: i64,
}

impl Store {
    /// Keeps products in a database that has [`MIGRATIONS`].
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Inserts a product.
    ///
    /// # Errors
    ///
    /// [`Error::IdTaken`].
    pub async fn insert(&self, new: New) -> Result<Product, Error> {
        let tags = serde_json::to_string(&new.tags).expect("texts are JSON");
        let mut transaction = self.pool.begin_with(BEGIN_WRITE).await?;
        let inserted = sqlx::query(
            "insert into products (id, display_name, description, price_currency, price_units, price_nanos, owner_id,
             tags, available_quantity, create_time, update_time, revision)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 1) on conflict do nothing returning *",
        )
        .bind(&new.id)
        .bind(&new.display_name)
        .bind(&new.description)
        .bind(&new.price.currency)
        .bind(new.price.units)
        .bind(new.price.nanos)
        .bind(&new.owner_id)
        .bind(&tags)
        .bind(new.available_quantity)
        .bind(new.now)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = inserted else {
            return Err(Error::IdTaken { name: format!("{PRODUCTS}/{}", new.id) });
        };
        let product = product(&row)?;
        transaction.commit().await?;
        Ok(product)
    }

    /// Returns a product.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &str) -> Result<Product, Error> {
        let row = sqlx::query("select * from products where id = $1").bind(id).fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| Error::NotFound { name: format!("{PRODUCTS}/{id}") })?;
        Ok(product(&row)?)
    }

    /// Returns a page of products, in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn list(&self, request: Request) -> Result<Page<Product>, Error> {
        let rows = sqlx::query("select * from products where seq > $1 order by seq limit $2")
            .bind(request.after)
            .bind(request.rows_to_read())
            .fetch(&self.pool);
        let products = rows.and_then(|row| future::ready(product(&row)));
        Ok(Page::fill(PRODUCTS, request, products, |product| (product.sequence, bytes(product))).await?)
    }
}

/// About how many bytes a product has on the wire.
fn bytes(product: &Product) -> usize {
    let tags: usize = product.tags.iter().map(|tag| tag.len() + TAG_FRAME_BYTES).sum();
    FRAME_BYTES + product.display_name.len() + product.description.len() + tags
}

fn product(row: &SqliteRow) -> Result<Product, sqlx::Error> {
    let tags: String = row.try_get("tags")?;
    let tags = serde_json::from_str(&tags).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Product {
        sequence: row.try_get("seq")?,
        id: row.try_get("id")?,
        display_name: row.try_get("display_name")?,
        description: row.try_get("description")?,
        price: Price {
            currency: row.try_get("price_currency")?,
            units: row.try_get("price_units")?,
            nanos: row.try_get("price_nanos")?,
        },
        owner_id: row.try_get("owner_id")?,
        tags,
        available_quantity: row.try_get("available_quantity")?,
        create_time: row.try_get("create_time")?,
        update_time: row.try_get("update_time")?,
        revision: row.try_get("revision")?,
    })
}
