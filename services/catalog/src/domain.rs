//! What may be done to products, and the rules of it.

mod change;
mod check;

use futures::Stream;
use prost_types::FieldMask;
use selvedge_kit::{
    list::Asked,
    name,
    once::{Once, RequestId},
    page::Page,
    time,
    violation::Violations,
};

use crate::{
    error::{Ended, Error},
    owners::Owners,
    product::{Draft, PRODUCTS, Product, USERS},
    store::{LIST, Store, write::New},
    watch::{self, Event, Place, Signals},
};

/// Names of the largest batch.
const MOST_NAMES: usize = 100;

/// All products.
#[derive(Clone, Debug)]
pub struct Catalog<O> {
    store: Store,
    owners: O,
    signals: Signals,
}

impl<O: Owners> Catalog<O> {
    /// Keeps products in a store.
    #[must_use]
    pub fn new(store: Store, owners: O, signals: Signals) -> Self {
        Self { store, owners, signals }
    }

    /// Creates a product, with the id that the caller chose or, if that is empty, one of ours. The owner is asked
    /// for when everything else is right.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with all that is wrong, or for an owner who does not exist; [`Error::Owner`] if that could
    /// not be learned; [`Error::IdTaken`].
    pub async fn create(&self, draft: Option<Draft>, chosen_id: &str, request_id: RequestId) -> Result<Product, Error> {
        let new = checked(draft, chosen_id, request_id)?;
        if let Some(answer) = self.store.answered(new.once.as_ref()).await? {
            return Ok(answer);
        }
        self.must_exist(&new.product.owner()).await?;
        self.store.insert(new).await
    }

    /// Returns a product.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no name, [`Error::NotFound`].
    pub async fn get(&self, name: &str) -> Result<Product, Error> {
        self.store.get(id_of(name)?).await
    }

    /// Returns several products, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for no names, too many, or what is no name; [`Error::Missing`].
    pub async fn batch_get(&self, names: &[String]) -> Result<Vec<Product>, Error> {
        let mut violations = Violations::new();
        if names.is_empty() || names.len() > MOST_NAMES {
            violations.add("names", format!("must be 1 to {MOST_NAMES}"));
            return Err(violations.into());
        }
        let mut ids = Vec::new();
        for (i, name) in names.iter().enumerate() {
            ids.extend(violations.check(&format!("names[{i}]"), name::id_of(name, PRODUCTS)));
        }
        violations.finish()?;
        self.store.get_all(&ids).await
    }

    /// Changes the fields that the mask names (see [`mask::fields`]). If it names none, the product stays as it is.
    ///
    /// # Errors
    ///
    /// Those of [`Catalog::create`], [`Error::NotFound`], [`Error::Stale`].
    pub async fn update(&self, draft: Option<Draft>, mask: Option<&FieldMask>) -> Result<Product, Error> {
        let mut violations = Violations::new();
        let draft = required(draft, &mut violations);
        let id = violations.check("product.name", name::id_of(&draft.name, PRODUCTS)).unwrap_or_default();
        let change = change::checked(&draft, mask, &mut violations);
        violations.finish()?;
        if let Some(owner_id) = &change.owner_id {
            self.must_exist(&format!("{USERS}/{owner_id}")).await?;
        }
        self.store.update(id, &draft.etag, change, time::now_micros()).await
    }

    /// Deletes a product for good.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no name, [`Error::NotFound`], [`Error::Stale`].
    pub async fn delete(&self, name: &str, etag: &str) -> Result<(), Error> {
        self.store.delete(id_of(name)?, etag).await
    }

    /// Puts pieces aside, once for a request id.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with all that is wrong, [`Error::NotFound`], [`Error::TooFew`].
    pub async fn reserve(&self, name: &str, quantity: i64, request_id: RequestId) -> Result<Product, Error> {
        let (id, once) = stock_request(name, quantity, request_id.required("ReserveStock"))?;
        self.store.reserve(&once, id, quantity, time::now_micros()).await
    }

    /// Makes pieces available again that were put aside, once for a request id.
    ///
    /// # Errors
    ///
    /// Those of [`Catalog::reserve`].
    pub async fn release(&self, name: &str, quantity: i64, request_id: RequestId) -> Result<Product, Error> {
        let (id, once) = stock_request(name, quantity, request_id.required("ReleaseStock"))?;
        self.store.release(&once, id, quantity, time::now_micros()).await
    }

    /// Tells every change from a token on, or from now on: then, if asked for, after the present state.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad token.
    pub async fn watch(
        &self,
        resume_token: &str,
        include_present: bool,
    ) -> Result<impl Stream<Item = Result<Event, Ended>> + Send + use<O>, Error> {
        let from = if resume_token.is_empty() {
            let newest = self.store.newest_change().await?;
            if include_present { Place::state(newest) } else { Place::now(newest) }
        } else {
            let reason = "is not a token that this method gave: leave it out to begin anew";
            Place::open(resume_token).ok_or_else(|| Violations::one("resume_token", reason))?
        };
        let bookmark = resume_token.is_empty() && !include_present;
        Ok(watch::watch(self.store.clone(), self.signals.clone(), from, bookmark))
    }

    /// Checks that an owner exists.
    async fn must_exist(&self, owner: &str) -> Result<(), Error> {
        if self.owners.exists(owner).await? {
            return Ok(());
        }
        let reason = format!("there is no user {owner:?}: create it first");
        Err(Error::Invalid(Violations::one("product.owner", reason)))
    }

    /// Returns a page of products.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad size, token, filter or order.
    pub async fn list(&self, asked: Asked<'_>) -> Result<Page<Product>, Error> {
        self.store.list(&LIST.read(asked)?).await
    }
}

/// Returns what may be inserted, or all that is wrong.
fn checked(draft: Option<Draft>, chosen_id: &str, request_id: RequestId) -> Result<New, Violations> {
    let mut violations = Violations::new();
    let id = violations.check("product_id", name::new_id(chosen_id)).unwrap_or_default();
    let once = violations.check("request_id", request_id.optional("CreateProduct")).flatten();
    let draft = required(draft, &mut violations);
    check::FIELDS.iter().for_each(|name| check::field(name, &draft, &mut violations));
    let owner_id = violations.check("product.owner", name::id_of(&draft.owner, USERS)).map(str::to_owned);
    violations.finish()?;
    let now = time::now_micros();
    let product = Product {
        id,
        display_name: draft.display_name,
        description: draft.description,
        price: draft.price.unwrap_or_default(),
        owner_id: owner_id.unwrap_or_default(),
        tags: draft.tags,
        available_quantity: draft.available_quantity,
        create_time: now,
        ..Product::default()
    };
    Ok(New { product, once })
}

fn required(draft: Option<Draft>, violations: &mut Violations) -> Draft {
    draft.unwrap_or_else(|| {
        violations.add("product", "is required");
        Draft::default()
    })
}

fn id_of(name: &str) -> Result<&str, Error> {
    name::id_of(name, PRODUCTS).map_err(|reason| Error::Invalid(Violations::one("name", reason)))
}

/// Checks what ReserveStock and ReleaseStock take.
fn stock_request(name: &str, quantity: i64, once: Result<Once, String>) -> Result<(&str, Once), Violations> {
    let mut violations = Violations::new();
    let id = violations.check("name", name::id_of(name, PRODUCTS));
    if quantity < 1 {
        violations.add("quantity", "must be at least 1");
    }
    let once = violations.check("request_id", once);
    match (id, once) {
        (Some(id), Some(once)) => violations.finish().map(|()| (id, once)),
        _ => Err(violations),
    }
}
