//! What may be done to users, and the rules of it.

mod email;

use prost_types::FieldMask;
use selvedge_kit::{
    list::Asked,
    mask, name,
    once::RequestId,
    page::Page,
    text::{self, Lines},
    time,
    violation::Violations,
};

use crate::{
    error::Error,
    store::{Change, LIST, New, Store},
    user::{Draft, USERS, User},
};

/// Characters of the longest display name.
const LONGEST_DISPLAY_NAME: usize = 256;

/// All users.
#[derive(Clone, Debug)]
pub struct Users {
    store: Store,
}

impl Users {
    /// Keeps users in a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Creates a user, with the id that the caller chose or, if that is empty, one of ours.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with all that is wrong, [`Error::IdTaken`], [`Error::EmailTaken`].
    pub async fn create(&self, draft: Option<Draft>, chosen_id: &str, request_id: RequestId) -> Result<User, Error> {
        let mut violations = Violations::new();
        let id = violations.check("user_id", name::new_id(chosen_id)).unwrap_or_default();
        let once = violations.check("request_id", request_id.optional("CreateUser")).flatten();
        let Draft { display_name, email, .. } = required(draft, &mut violations);
        violations.check("user.display_name", check_display_name(&display_name));
        violations.check("user.email", email::check(&email));
        violations.finish()?;
        let email_key = email::key(&email);
        self.store.insert(New { id, display_name, email, email_key, now: time::now_micros(), once }).await
    }

    /// Returns a user.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no name, [`Error::NotFound`].
    pub async fn get(&self, name: &str) -> Result<User, Error> {
        self.store.get(id_of(name, "name")?).await
    }

    /// Returns a page of users.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad size, token, filter or order.
    pub async fn list(&self, asked: Asked<'_>) -> Result<Page<User>, Error> {
        self.store.list(&LIST.read(asked)?).await
    }

    /// Changes the fields that the mask names (see [`mask::fields`]). If it names none, the user stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with all that is wrong, [`Error::NotFound`], [`Error::Stale`], [`Error::EmailTaken`].
    pub async fn update(&self, draft: Option<Draft>, mask: Option<&FieldMask>) -> Result<User, Error> {
        let mut violations = Violations::new();
        let draft = required(draft, &mut violations);
        let id = violations.check("user.name", name::id_of(&draft.name, USERS)).unwrap_or_default();
        let fields = changed_fields(&draft, mask, &mut violations);
        let display_name = fields.contains(&"display_name").then(|| draft.display_name.clone());
        let email = fields.contains(&"email").then(|| draft.email.clone());
        if let Some(display_name) = &display_name {
            violations.check("user.display_name", check_display_name(display_name));
        }
        if let Some(email) = &email {
            violations.check("user.email", email::check(email));
        }
        violations.finish()?;
        let email_key = email.as_deref().map(email::key);
        let change = Change { display_name, email, email_key, now: time::now_micros() };
        self.store.update(id, &draft.etag, change).await
    }

    /// Deletes a user for good.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no name, [`Error::NotFound`], [`Error::Stale`].
    pub async fn delete(&self, name: &str, etag: &str) -> Result<(), Error> {
        self.store.delete(id_of(name, "name")?, etag).await
    }
}

fn id_of<'a>(name: &'a str, field: &str) -> Result<&'a str, Error> {
    name::id_of(name, USERS).map_err(|reason| Error::Invalid(Violations::one(field, reason)))
}

fn required(draft: Option<Draft>, violations: &mut Violations) -> Draft {
    draft.unwrap_or_else(|| {
        violations.add("user", "is required");
        Draft::default()
    })
}

fn changed_fields(draft: &Draft, mask: Option<&FieldMask>, violations: &mut Violations) -> Vec<&'static str> {
    let present = |field: &str| match field {
        "display_name" => !draft.display_name.is_empty(),
        _ => !draft.email.is_empty(),
    };
    mask::fields(mask, &["display_name", "email"], present).unwrap_or_else(|reasons| {
        for reason in reasons {
            violations.add("update_mask", reason);
        }
        Vec::new()
    })
}

fn check_display_name(value: &str) -> Result<(), String> {
    text::required(value, LONGEST_DISPLAY_NAME, Lines::One)
}
