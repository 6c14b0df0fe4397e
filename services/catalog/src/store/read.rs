//! Reads of products.

use std::collections::HashMap;

use futures::{TryStreamExt as _, future};
use selvedge_kit::{
    database::Statement,
    once::Once,
    page::{Page, Request},
};

use crate::{
    error::Error,
    product::{PRODUCTS, Product},
    store::{Store, row},
};

/// Bytes of a product on the wire besides its own text, and of a tag besides its own.
const FRAME_BYTES: usize = 256;
const TAG_FRAME_BYTES: usize = 4;

impl Store {
    /// Returns a product.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &str) -> Result<Product, Error> {
        let select = Statement::new("select * from products where id = $1").bind(id);
        let row = self.database.optional(select).await?.ok_or_else(|| Error::not_found(id))?;
        Ok(row::product(&row)?)
    }

    /// Returns several products, in the order of the ids.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], unless all exist.
    pub async fn get_all(&self, ids: &[&str]) -> Result<Vec<Product>, Error> {
        let places: Vec<_> = (1..=ids.len()).map(|i| format!("${i}")).collect();
        let select = Statement::built(format!("select * from products where id in ({})", places.join(", ")));
        let select = ids.iter().fold(select, |select, id| select.bind(*id));
        let mut found = HashMap::new();
        for row in self.database.all(select).await? {
            let product = row::product(&row)?;
            found.insert(product.id.clone(), product);
        }
        let missing: Vec<_> = ids.iter().filter(|id| !found.contains_key(**id)).collect();
        if !missing.is_empty() {
            return Err(Error::Missing { names: missing.into_iter().map(|id| format!("{PRODUCTS}/{id}")).collect() });
        }
        Ok(ids.iter().filter_map(|id| found.get(*id).cloned()).collect())
    }

    /// Returns a page of products, in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn list(&self, request: Request) -> Result<Page<Product>, Error> {
        let select = Statement::new("select * from products where seq > $1 order by seq limit $2")
            .bind(request.after)
            .bind(request.rows_to_read());
        let products = self.database.rows(select).and_then(|row| future::ready(row::product(&row)));
        Ok(Page::fill(PRODUCTS, request, products, |product| (product.sequence, bytes(product))).await?)
    }

    /// Returns what a request was answered that was made before.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if its id was another request's.
    pub async fn answered(&self, once: Option<&Once>) -> Result<Option<Product>, Error> {
        match once {
            Some(once) => Ok(once.answer(&self.database).await?),
            None => Ok(None),
        }
    }
}

/// About how many bytes a product has on the wire.
fn bytes(product: &Product) -> usize {
    let tags: usize = product.tags.iter().map(|tag| tag.len() + TAG_FRAME_BYTES).sum();
    FRAME_BYTES + product.display_name.len() + product.description.len() + tags
}
