//! Writes of products.

use selvedge_kit::{
    change_log::{self, Kind},
    database::{Statement, Transaction},
    etag,
    once::Once,
    time,
};

use crate::{
    error::Error,
    product::{PRODUCTS, Price, Product},
    store::{Store, row},
};

/// A product to insert; everything was checked.
#[derive(Clone, Debug)]
pub struct New {
    /// What it shall be; its sequence is not looked at.
    pub product: Product,
    /// The id of the request, if it has one.
    pub once: Option<Once>,
}

/// What becomes of a product; what is `None` stays. Everything was checked.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it shall be called.
    pub display_name: Option<String>,
    /// What is to be said about it.
    pub description: Option<String>,
    /// What one piece shall cost.
    pub price: Option<Price>,
    /// The last part of the owner's name.
    pub owner_id: Option<String>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// How many pieces there shall be.
    pub available_quantity: Option<i64>,
}

impl Store {
    /// Inserts a product.
    ///
    /// # Errors
    ///
    /// [`Error::IdTaken`].
    pub async fn insert(&self, new: New) -> Result<Product, Error> {
        let New { product, once } = new;
        let mut transaction = self.database.begin().await?;
        if let Some(once) = &once
            && let Some(answer) = once.claim(&mut transaction, product.create_time).await?
        {
            // It gives its connection back first.
            drop(transaction);
            self.repeated(&answer).await?;
            return Ok(answer);
        }
        let insert = Statement::new(
            "insert into products (display_name, description, price_currency, price_units, price_nanos, owner_id,
             tags, available_quantity, id, create_time, update_time, revision)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 1) on conflict do nothing returning *",
        );
        let insert = row::bind(insert, &product).bind(product.id.as_str()).bind(product.create_time);
        let Some(row) = transaction.optional(insert).await? else {
            return Err(Error::IdTaken { name: format!("{PRODUCTS}/{}", product.id) });
        };
        let product = row::product(&row)?;
        // After the insert, which may wait for a deletion of the same id, which waits for its revision.
        let revision = change_log::append(&mut transaction, Kind::Created, &product, time::now_micros()).await?;
        let place = Statement::new("update products set change_revision = $1 where seq = $2");
        transaction.run(place.bind(revision).bind(product.sequence)).await?;
        if let Some(once) = &once {
            once.keep(&mut transaction, &product).await?;
        }
        transaction.commit().await?;
        self.copies.written(&product.id, &product).await;
        Ok(product)
    }

    /// Changes a product, if the etag allows it. A change of nothing leaves the product as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Stale`].
    pub async fn update(&self, id: &str, given_etag: &str, change: Change, now: i64) -> Result<Product, Error> {
        let mut transaction = self.database.begin().await?;
        let old = current(&mut transaction, id, given_etag).await?;
        if change.is_nothing() {
            return Ok(old);
        }
        let product = save(&mut transaction, change.of(old), now).await?;
        transaction.commit().await?;
        self.copies.written(&product.id, &product).await;
        Ok(product)
    }

    /// Deletes a product, if the etag allows it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Stale`].
    pub async fn delete(&self, id: &str, given_etag: &str) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        let old = current(&mut transaction, id, given_etag).await?;
        transaction.run(Statement::new("delete from products where seq = $1").bind(old.sequence)).await?;
        change_log::append(&mut transaction, Kind::Deleted, &old, time::now_micros()).await?;
        transaction.commit().await?;
        self.copies.deleted(id, &old).await;
        Ok(())
    }
}

impl Change {
    fn is_nothing(&self) -> bool {
        let Self { display_name, description, price, owner_id, tags, available_quantity } = self;
        let texts = display_name.is_none() && description.is_none() && owner_id.is_none();
        texts && price.is_none() && tags.is_none() && available_quantity.is_none()
    }

    fn of(self, old: Product) -> Product {
        Product {
            display_name: self.display_name.unwrap_or(old.display_name),
            description: self.description.unwrap_or(old.description),
            price: self.price.unwrap_or(old.price),
            owner_id: self.owner_id.unwrap_or(old.owner_id),
            tags: self.tags.unwrap_or(old.tags),
            available_quantity: self.available_quantity.unwrap_or(old.available_quantity),
            ..old
        }
    }
}

/// Returns the product, if there is one. Nobody else changes it before the transaction ends.
pub(crate) async fn locked(transaction: &mut Transaction, id: &str) -> Result<Product, Error> {
    let row = transaction.optional(lock(id)).await?.ok_or_else(|| Error::not_found(id))?;
    Ok(row::product(&row)?)
}

/// The statement that locks a product, and reads it: a write that changes nothing, in every SQL.
#[must_use]
pub fn lock(id: &str) -> Statement {
    Statement::new("update products set revision = revision where id = $1 returning *").bind(id)
}

/// Writes all that callers may change of a product that is locked, as its next revision.
async fn save(transaction: &mut Transaction, product: Product, now: i64) -> Result<Product, Error> {
    let update = Statement::new(
        "update products set display_name = $1, description = $2, price_currency = $3, price_units = $4,
         price_nanos = $5, owner_id = $6, tags = $7, available_quantity = $8, update_time = $9, revision = $10,
         change_revision = $11 where seq = $12",
    );
    let (product, revision) = next(transaction, product, now).await?;
    let update = row::bind(update, &product).bind(product.update_time).bind(product.revision);
    transaction.run(update.bind(revision).bind(product.sequence)).await?;
    Ok(product)
}

/// Writes how many pieces there are of a product that is locked, as its next revision. SQLite writes anew in every index
/// of a column that is named, whether it changes or not: no other is.
pub(crate) async fn save_stock(transaction: &mut Transaction, product: Product, now: i64) -> Result<Product, Error> {
    let update = Statement::new(
        "update products set available_quantity = $1, reserved_quantity = $2, update_time = $3, revision = $4,
         change_revision = $5 where seq = $6",
    );
    let (product, revision) = next(transaction, product, now).await?;
    let update = update.bind(product.available_quantity).bind(product.reserved_quantity).bind(product.update_time);
    transaction.run(update.bind(product.revision).bind(revision).bind(product.sequence)).await?;
    Ok(product)
}

/// Makes of a product what it is next, and tells the change log: returns it, and the place of the change.
async fn next(transaction: &mut Transaction, product: Product, now: i64) -> Result<(Product, i64), Error> {
    // Another machine's clock may be ahead of ours: time never goes back.
    let update_time = now.max(product.update_time + 1);
    let product = Product { update_time, revision: product.revision + 1, ..product };
    let revision = change_log::append(transaction, Kind::Updated, &product, time::now_micros()).await?;
    Ok((product, revision))
}

async fn current(transaction: &mut Transaction, id: &str, given_etag: &str) -> Result<Product, Error> {
    let product = locked(transaction, id).await?;
    if !etag::allows(given_etag, &product.etag()) {
        return Err(Error::Stale { name: product.name() });
    }
    Ok(product)
}
