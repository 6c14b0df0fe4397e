//! What a product is.

use selvedge_kit::{
    cache::{Version, Versioned},
    etag,
};
use serde::{Deserialize, Serialize};

/// The collection, and the kind of its page tokens and etags.
pub(crate) const PRODUCTS: &str = "products";
/// The collection of the owners.
pub(crate) const USERS: &str = "users";

/// A product as it is kept.
///
/// It is kept as JSON too, in the answers to request ids and in the change log: what is added has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
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
    /// How many pieces are put aside besides.
    pub reserved_quantity: i64,
    /// When it was created: microseconds since 1970.
    pub create_time: i64,
    /// When it was last changed: microseconds since 1970.
    pub update_time: i64,
    /// Counts its changes.
    pub revision: i64,
}

impl Product {
    /// Returns its resource name.
    #[must_use]
    pub fn name(&self) -> String {
        [PRODUCTS, "/", &self.id].concat()
    }

    /// Returns the resource name of its owner.
    #[must_use]
    pub fn owner(&self) -> String {
        [USERS, "/", &self.owner_id].concat()
    }

    /// Returns what names its present state.
    #[must_use]
    pub fn etag(&self) -> String {
        etag::of(PRODUCTS, self.sequence, self.revision)
    }
}

impl Versioned for Product {
    fn version(&self) -> Version {
        Version { sequence: self.sequence, revision: self.revision }
    }
}

/// An amount of money, as `google.type.Money` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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
    /// Its resource name; matters in an update only.
    pub name: String,
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
    /// The state that the caller believes it is in, or nothing; matters in an update only.
    pub etag: String,
}
