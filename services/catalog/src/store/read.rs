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
        let select = Statement::new("select * from products where id = $1").bind(id);
        let database = self.database.clone();
        async move { database.optional(select).await?.as_ref().map(row::product).transpose() }
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

/// About how many bytes a product has on the wire.
fn bytes(product: &Product) -> usize {
    let tags: usize = product.tags.iter().map(|tag| tag.len() + TAG_FRAME_BYTES).sum();
    FRAME_BYTES + product.display_name.len() + product.description.len() + tags
}
