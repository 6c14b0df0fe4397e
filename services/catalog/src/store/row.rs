//! A product as a row.

use selvedge_kit::database::{Row, Statement};

use crate::product::{Price, Product};

/// Reads a row, in the order of its columns.
pub(crate) fn product(row: &Row) -> Result<Product, sqlx::Error> {
    let decoded = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    Ok(Product {
        sequence: row.int("seq")?,
        id: row.text("id")?,
        display_name: row.text("display_name")?,
        description: row.text("description")?,
        price: Price {
            currency: row.text("price_currency")?,
            units: row.int("price_units")?,
            nanos: i32::try_from(row.int("price_nanos")?).map_err(|error| decoded(error.into()))?,
        },
        owner_id: row.text("owner_id")?,
        tags: serde_json::from_str(&row.text("tags")?).map_err(|error| decoded(error.into()))?,
        available_quantity: row.int("available_quantity")?,
        create_time: row.int("create_time")?,
        update_time: row.int("update_time")?,
        revision: row.int("revision")?,
        reserved_quantity: row.int("reserved_quantity")?,
    })
}

/// Binds what a caller may say of a product, in the order of the columns.
pub(crate) fn bind(statement: Statement, product: &Product) -> Statement {
    let tags = serde_json::to_string(&product.tags).expect("texts are JSON");
    statement
        .bind(product.display_name.as_str())
        .bind(product.description.as_str())
        .bind(product.price.currency.as_str())
        .bind(product.price.units)
        .bind(i64::from(product.price.nanos))
        .bind(product.owner_id.as_str())
        .bind(tags)
        .bind(product.available_quantity)
}
