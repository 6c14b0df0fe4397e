//! Reads of products.

use std::collections::HashMap;

use selvedge_kit::{database::Statement, list::Query, once::Once, page::Page};

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
        self.copies.read(id, || self.load(id)).await?.ok_or_else(|| Error::not_found(id))
    }

    fn load(&self, id: &str) -> impl Future<Output = Result<Option<Product>, sqlx::Error>> + Send + use<> {
        let (database, select) = (self.database.clone(), by_id(id));
        async move { database.optional(select).await?.as_ref().map(row::product).transpose() }
    }

    /// Returns several products, in the order of the ids.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], unless all exist.
    pub async fn get_all(&self, ids: &[&str]) -> Result<Vec<Product>, Error> {
        let database = self.database.clone();
        let load = |ids: Vec<String>| async move {
            let mut found = HashMap::new();
            for row in database.all(by_ids(&ids)).await? {
                let product = row::product(&row)?;
                found.insert(product.id.clone(), product);
            }
            Ok(found)
        };
        let found = self.copies.read_all(ids, load).await?;
        let missing = ids.iter().zip(&found).filter(|(_, product)| product.is_none());
        let missing: Vec<_> = missing.map(|(id, _)| format!("{PRODUCTS}/{id}")).collect();
        if missing.is_empty() {
            Ok(found.into_iter().flatten().collect())
        } else {
            Err(Error::Missing { names: missing })
        }
    }

    /// Returns a page of products.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn list(&self, query: &Query) -> Result<Page<Product>, Error> {
        Ok(query.page(&self.database, row::product, bytes).await?)
    }

    /// Returns what a request was answered that was made before.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if its id was another request's.
    pub async fn answered(&self, once: Option<&Once>) -> Result<Option<Product>, Error> {
        let Some(once) = once else { return Ok(None) };
        let answer = once.answer::<Product>(&self.database).await?;
        if let Some(product) = &answer {
            self.repeated(product).await?;
        }
        Ok(answer)
    }

    /// Renews the copy of what a request did that was made before: who did it may have ended before it told the cache.
    pub(crate) async fn repeated(&self, product: &Product) -> Result<(), Error> {
        Ok(self.copies.renew(&product.id, || self.load(&product.id)).await?)
    }
}

/// The statement that reads a product.
#[must_use]
pub fn by_id(id: &str) -> Statement {
    Statement::new("select * from products where id = $1").bind(id)
}

/// The statement that reads several products; there is at least one.
#[must_use]
pub fn by_ids(ids: &[String]) -> Statement {
    // Of few lengths, so that the engine has seen the statement before: the last one is asked for again.
    let length = ids.len().next_power_of_two();
    let places: Vec<_> = (1..=length).map(|i| format!("${i}")).collect();
    let select = Statement::built(format!("select * from products where id in ({})", places.join(", ")));
    let padded = ids.iter().chain(ids.last().into_iter().cycle()).take(length);
    padded.fold(select, |select, id| select.bind(id.as_str()))
}

/// About how many bytes a product has on the wire.
fn bytes(product: &Product) -> usize {
    let tags: usize = product.tags.iter().map(|tag| tag.len() + TAG_FRAME_BYTES).sum();
    FRAME_BYTES + product.display_name.len() + product.description.len() + tags
}
