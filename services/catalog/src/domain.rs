//! What may be done to products, and the rules of it.

mod check;

use selvedge_kit::{
    name,
    page::{self, Page},
    time,
    violation::Violations,
};

use crate::{
    error::Error,
    owners::Owners,
    product::{Draft, PRODUCTS, Product, USERS},
    store::{New, Store},
};

/// All products.
#[derive(Clone, Debug)]
pub struct Catalog<O> {
    store: Store,
    owners: O,
}

impl<O: Owners> Catalog<O> {
    /// Keeps products in a store.
    #[must_use]
    pub fn new(store: Store, owners: O) -> Self {
        Self { store, owners }
    }

    /// Creates a product, with the id that the caller chose or, if that is empty, one of ours. The owner is asked
    /// for when everything else is right.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with all that is wrong, or for an owner who does not exist; [`Error::Owner`] if that could
    /// not be learned; [`Error::IdTaken`].
    pub async fn create(&self, draft: Option<Draft>, chosen_id: &str) -> Result<Product, Error> {
        let new = checked(draft, chosen_id)?;
        if !self.owners.exists(&format!("{USERS}/{}", new.owner_id)).await? {
            let reason = format!("there is no user \"{USERS}/{}\": create it first", new.owner_id);
            return Err(Error::Invalid(Violations::one("product.owner", reason)));
        }
        self.store.insert(new).await
    }

    /// Returns a product.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no name, [`Error::NotFound`].
    pub async fn get(&self, name: &str) -> Result<Product, Error> {
        let id = name::id_of(name, PRODUCTS);
        self.store.get(id.map_err(|reason| Violations::one("name", reason))?).await
    }

    /// Returns a page of products in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad size or token.
    pub async fn list(&self, size: i32, token: &str) -> Result<Page<Product>, Error> {
        self.store.list(page::Request::read(PRODUCTS, size, token)?).await
    }
}

/// Returns what may be inserted, or all that is wrong.
fn checked(draft: Option<Draft>, chosen_id: &str) -> Result<New, Violations> {
    let mut violations = Violations::new();
    let id = violations.check("product_id", name::new_id(chosen_id)).unwrap_or_default();
    let draft = draft.unwrap_or_else(|| {
        violations.add("product", "is required");
        Draft::default()
    });
    check::draft(&draft, &mut violations);
    let owner_id = violations.check("product.owner", name::id_of(&draft.owner, USERS)).map(str::to_owned);
    violations.finish()?;
    let Draft { display_name, description, price, owner: _, tags, available_quantity } = draft;
    Ok(New {
        id,
        display_name,
        description,
        price: price.unwrap_or_default(),
        owner_id: owner_id.unwrap_or_default(),
        tags,
        available_quantity,
        now: time::now_micros(),
    })
}
