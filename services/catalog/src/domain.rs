//! What a product is, and what may be done to one.

mod check;

use selvedge_kit::{
    etag, name,
    page::{self, Page},
    time,
    violation::Violations,
};

use crate::{
    error::Error,
    owners::Owners,
    store::{New, Store},
};

/// The collection, and the kind of its page tokens and etags.
pub(crate) const PRODUCTS: &str = "products";
/// The collection of the owners.
pub(crate) const USERS: &str = "users";

/// A product as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its place in the order of creation.
    pub sequence: i64,
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
    /// When it was created: microseconds since 1970.
    pub create_time: i64,
    /// When it was last changed: microseconds since 1970.
    pub update_time: i64,
    /// Counts its changes.
    pub revision: i64,
}

/// An amount of money, as `google.type.Money` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The three letters of ISO 4217.
    pub currency: String,
    /// Whole units.
    pub units: i64,
    /// Billionths of a unit.
    pub nanos: i32,
}

/// What a caller says of a product; nothing of it is checked.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// What it shall be called.
    pub display_name: String,
    /// What is to be said about it.
    pub description: String,
    /// What one piece costs.
    pub price: Option<Price>,
    /// The name of the user who sells it.
    pub owner: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How many pieces there are.
    pub available_quantity: i64,
}

/// All products.
#[derive(Clone, Debug)]
pub struct Catalog<O> {
    store: Store,
    owners: O,
}

impl Product {
    /// Returns its resource name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{PRODUCTS}/{}", self.id)
    }

    /// Returns the resource name of its owner.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{USERS}/{}", self.owner_id)
    }

    /// Returns what names its present state.
    #[must_use]
    pub fn etag(&self) -> String {
        etag::of(PRODUCTS, self.sequence, self.revision)
    }
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
