//! Pieces that are put aside, and given back.

use selvedge_kit::once::Once;

use crate::{
    error::Error,
    product::Product,
    store::{
        Store,
        write::{locked, save_stock},
    },
};

impl Store {
    /// Puts pieces of a product aside.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TooFew`].
    pub async fn reserve(&self, once: &Once, id: &str, quantity: i64, now: i64) -> Result<Product, Error> {
        self.move_stock(once, id, now, |product| product.reserve(quantity)).await
    }

    /// Makes pieces available again.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TooFew`].
    pub async fn release(&self, once: &Once, id: &str, quantity: i64, now: i64) -> Result<Product, Error> {
        self.move_stock(once, id, now, |product| product.release(quantity)).await
    }

    async fn move_stock(
        &self,
        once: &Once,
        id: &str,
        now: i64,
        change: impl FnOnce(Product) -> Result<Product, Error>,
    ) -> Result<Product, Error> {
        let mut transaction = self.database.begin().await?;
        if let Some(answer) = once.claim(&mut transaction, now).await? {
            // It gives its connection back first.
            drop(transaction);
            self.repeated(&answer).await?;
            return Ok(answer);
        }
        let product = change(locked(&mut transaction, id).await?)?;
        let product = save_stock(&mut transaction, product, now).await?;
        once.keep(&mut transaction, &product).await?;
        transaction.commit().await?;
        self.copies.written(id, &product).await;
        Ok(product)
    }
}
