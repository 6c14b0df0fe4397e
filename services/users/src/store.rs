//! The rows of users.

use futures::{TryStreamExt as _, future};
use selvedge_kit::{
    database::{BEGIN_WRITE, Migration},
    etag,
    page::{Page, Request},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{
    error::Error,
    user::{USERS, User},
};

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, description: "users", sql: include_str!("../migrations/1_users.sql") }];

/// Bytes of a user on the wire besides its own text.
const FRAME_BYTES: usize = 128;

/// Users in a database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

/// A user to insert; everything was checked.
#[derive(Clone, Debug)]
pub struct New {
    /// The last part of its name.
    pub id: String,
    /// What people call it.
    pub display_name: String,
    /// Its e-mail address.
    pub email: String,
    /// The form of the address that must be unique.
    pub email_key: String,
    /// Microseconds since 1970.
    pub now: i64,
}

/// What becomes of a user; what is `None` stays. Everything was checked.
#[derive(Clone, Debug)]
pub struct Change {
    /// What people shall call it.
    pub display_name: Option<String>,
    /// Its e-mail address.
    pub email: Option<String>,
    /// The form of the address that must be unique.
    pub email_key: Option<String>,
    /// Microseconds since 1970.
    pub now: i64,
}

impl Store {
    /// Keeps users in a database that has [`MIGRATIONS`].
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Inserts a user.
    ///
    /// # Errors
    ///
    /// [`Error::IdTaken`], [`Error::EmailTaken`].
    pub async fn insert(&self, new: New) -> Result<User, Error> {
        let mut transaction = self.pool.begin_with(BEGIN_WRITE).await?;
        let inserted = sqlx::query(
            "insert into users (id, display_name, email, email_key, create_time, update_time, revision)
             values ($1, $2, $3, $4, $5, $5, 1) on conflict do nothing returning *",
        )
        .bind(&new.id)
        .bind(&new.display_name)
        .bind(&new.email)
        .bind(&new.email_key)
        .bind(new.now)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = inserted else {
            return Err(match find(&mut transaction, &new.id).await? {
                Some(other) => Error::IdTaken { name: other.name() },
                None => Error::EmailTaken { email: new.email },
            });
        };
        let user = user(&row)?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Returns a user.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &str) -> Result<User, Error> {
        let mut connection = self.pool.acquire().await?;
        find(&mut connection, id).await?.ok_or_else(|| not_found(id))
    }

    /// Returns a page of users, in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn list(&self, request: Request) -> Result<Page<User>, Error> {
        let rows = sqlx::query("select * from users where seq > $1 order by seq limit $2")
            .bind(request.after)
            .bind(request.rows_to_read())
            .fetch(&self.pool);
        let users = rows.and_then(|row| future::ready(user(&row)));
        Ok(Page::fill(USERS, request, users, |user| (user.sequence, bytes(user))).await?)
    }

    /// Changes a user, if the etag allows it. A change of nothing leaves the user as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::EmailTaken`].
    pub async fn update(&self, id: &str, given_etag: &str, change: Change) -> Result<User, Error> {
        let mut transaction = self.pool.begin_with(BEGIN_WRITE).await?;
        let old = current(&mut transaction, id, given_etag).await?;
        if change.display_name.is_none() && change.email.is_none() {
            return Ok(old);
        }
        let changed = sqlx::query(
            "update or ignore users set display_name = coalesce($2, display_name), email = coalesce($3, email),
             email_key = coalesce($4, email_key), update_time = $5, revision = revision + 1
             where seq = $1 returning *",
        )
        .bind(old.sequence)
        .bind(&change.display_name)
        .bind(&change.email)
        .bind(&change.email_key)
        // Another machine's clock may be ahead of ours: time never goes back.
        .bind(change.now.max(old.update_time + 1))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = changed else {
            return Err(Error::EmailTaken { email: change.email.unwrap_or(old.email) });
        };
        let user = user(&row)?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Deletes a user, if the etag allows it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Stale`].
    pub async fn delete(&self, id: &str, given_etag: &str) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with(BEGIN_WRITE).await?;
        let old = current(&mut transaction, id, given_etag).await?;
        sqlx::query("delete from users where seq = $1").bind(old.sequence).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// Returns the user if the etag allows to change it.
async fn current(connection: &mut SqliteConnection, id: &str, given_etag: &str) -> Result<User, Error> {
    let user = find(connection, id).await?.ok_or_else(|| not_found(id))?;
    if !etag::allows(given_etag, &user.etag()) {
        return Err(Error::Stale { name: user.name() });
    }
    Ok(user)
}

async fn find(connection: &mut SqliteConnection, id: &str) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query("select * from users where id = $1").bind(id).fetch_optional(connection).await?;
    row.as_ref().map(user).transpose()
}

fn not_found(id: &str) -> Error {
    Error::NotFound { name: format!("{USERS}/{id}") }
}

/// About how many bytes a user has on the wire.
fn bytes(user: &User) -> usize {
    FRAME_BYTES + user.display_name.len() + user.email.len()
}

fn user(row: &SqliteRow) -> Result<User, sqlx::Error> {
    Ok(User {
        sequence: row.try_get("seq")?,
        id: row.try_get("id")?,
        display_name: row.try_get("display_name")?,
        email: row.try_get("email")?,
        create_time: row.try_get("create_time")?,
        update_time: row.try_get("update_time")?,
        revision: row.try_get("revision")?,
    })
}
