//! What a user is.

use selvedge_kit::{
    cache::{Version, Versioned},
    etag,
};
use serde::{Deserialize, Serialize};

/// The collection, and the kind of its page tokens and etags.
pub(crate) const USERS: &str = "users";

/// A user as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct User {
    /// Its place in the order of creation.
    pub sequence: i64,
    /// The last part of its name.
    pub id: String,
    /// What people call it.
    pub display_name: String,
    /// Its e-mail address, as it was written.
    pub email: String,
    /// When it was created: microseconds since 1970.
    pub create_time: i64,
    /// When it was last changed: microseconds since 1970.
    pub update_time: i64,
    /// Counts its changes.
    pub revision: i64,
}

impl User {
    /// Returns its resource name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{USERS}/{}", self.id)
    }

    /// Returns what names its present state.
    #[must_use]
    pub fn etag(&self) -> String {
        etag::of(USERS, self.sequence, self.revision)
    }
}

impl Versioned for User {
    fn version(&self) -> Version {
        Version { sequence: self.sequence, revision: self.revision }
    }
}

/// What a caller says of a user; nothing of it is checked.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its resource name; matters in an update only.
    pub name: String,
    /// What people shall call it.
    pub display_name: String,
    /// Its e-mail address.
    pub email: String,
    /// The state that the caller believes it is in, or nothing; matters in an update only.
    pub etag: String,
}
