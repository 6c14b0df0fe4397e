//! The rows of users.

mod seed;

use selvedge_kit::{
    cache::{self, Cache, Copies},
    database::{Database, Migration, Row, Schema, Statement, Transaction},
    etag,
    field::{Field, Kind},
    list::{List, Query},
    once::{self, Once},
    page::Page,
};

use crate::{
    error::Error,
    user::{USERS, User},
};

/// The tables.
pub const SCHEMA: Schema = Schema {
    name: "users",
    migrations: &[
        Migration {
            version: 1,
            description: "users",
            sqlite: include_str!("../migrations/sqlite/1_users.sql"),
            postgres: include_str!("../migrations/postgres/1_users.sql"),
        },
        Migration { version: 2, description: "request ids", sqlite: once::TABLE, postgres: once::TABLE },
        Migration {
            version: 3,
            description: "lists",
            sqlite: include_str!("../migrations/sqlite/3_lists.sql"),
            postgres: include_str!("../migrations/postgres/3_lists.sql"),
        },
    ],
};

/// What users can be listed by.
pub const LIST: List = List {
    collection: USERS,
    table: "users",
    fields: &[
        Field::unique("name", "id", Kind::Name { collection: USERS }),
        Field::new("display_name", "display_name", Kind::Text),
        Field::unique("email", "email_key", Kind::Folded),
        Field::new("create_time", "create_time", Kind::Time),
        Field::new("update_time", "update_time", Kind::Time),
    ],
    orders: &[],
};

/// Bytes of a user on the wire besides its own text.
const FRAME_BYTES: usize = 128;

/// Users in a database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    copies: Copies<User>,
}

/// What is written into a cache.
const COPIES: cache::Kind = cache::Kind { collection: USERS, format: SCHEMA.newest() };

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
    /// The id of the request, if it has one.
    pub once: Option<Once>,
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
    /// Keeps users in a database that has [`SCHEMA`].
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, copies: Copies::new(Cache::default(), COPIES) }
    }

    /// Keeps copies of them in a cache.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { copies: Copies::new(cache, COPIES), ..self }
    }

    /// Inserts a user.
    ///
    /// # Errors
    ///
    /// [`Error::IdTaken`], [`Error::EmailTaken`].
    pub async fn insert(&self, new: New) -> Result<User, Error> {
        if let Some(once) = &new.once {
            return self.insert_once(once, &new).await;
        }
        let Some(row) = self.database.write(inserted(&new)).await? else {
            return Err(taken(&new, self.database.optional(by_id(&new.id)).await?.as_ref()));
        };
        let user = user(&row)?;
        self.copies.written(&user.id, &user).await;
        Ok(user)
    }

    async fn insert_once(&self, once: &Once, new: &New) -> Result<User, Error> {
        let mut transaction = self.database.begin().await?;
        if let Some(answer) = once.claim::<User>(&mut transaction, new.now).await? {
            // It gives its connection back first.
            drop(transaction);
            self.copies.renew(&answer.id, || self.load(&answer.id)).await?;
            return Ok(answer);
        }
        let Some(row) = transaction.optional(inserted(new)).await? else {
            return Err(taken(new, transaction.optional(by_id(&new.id)).await?.as_ref()));
        };
        let user = user(&row)?;
        once.keep(&mut transaction, &user).await?;
        transaction.commit().await?;
        self.copies.written(&user.id, &user).await;
        Ok(user)
    }

    /// Returns a user.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &str) -> Result<User, Error> {
        self.copies.read(id, || self.load(id)).await?.ok_or_else(|| not_found(id))
    }

    fn load(&self, id: &str) -> impl Future<Output = Result<Option<User>, sqlx::Error>> + Send + use<> {
        let (database, select) = (self.database.clone(), by_id(id));
        async move { database.optional(select).await?.as_ref().map(user).transpose() }
    }

    /// Returns a page of users.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn list(&self, query: &Query) -> Result<Page<User>, Error> {
        Ok(query.page(&self.database, user, bytes).await?)
    }

    /// Changes a user, if the etag allows it. A change of nothing leaves the user as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::EmailTaken`].
    pub async fn update(&self, id: &str, given_etag: &str, change: Change) -> Result<User, Error> {
        let mut transaction = self.database.begin().await?;
        let old = current(&mut transaction, id, given_etag).await?;
        if change.display_name.is_none() && change.email.is_none() {
            return Ok(old);
        }
        let update = Statement::new(
            "update users set display_name = coalesce($2, display_name), email = coalesce($3, email),
             email_key = coalesce($4, email_key), update_time = $5, revision = revision + 1
             where seq = $1 returning *",
        )
        .bind(old.sequence)
        .bind(change.display_name)
        .bind(change.email.clone())
        .bind(change.email_key)
        // Another machine's clock may be ahead of ours: time never goes back.
        .bind(change.now.max(old.update_time + 1));
        let row = transaction.one(update).await.map_err(|error| match error.as_database_error() {
            Some(cause) if cause.is_unique_violation() => {
                Error::EmailTaken { email: change.email.unwrap_or(old.email) }
            }
            _ => error.into(),
        })?;
        let user = user(&row)?;
        transaction.commit().await?;
        self.copies.written(id, &user).await;
        Ok(user)
    }

    /// Deletes a user, if the etag allows it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Stale`].
    pub async fn delete(&self, id: &str, given_etag: &str) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        let old = current(&mut transaction, id, given_etag).await?;
        transaction.run(Statement::new("delete from users where seq = $1").bind(old.sequence)).await?;
        transaction.commit().await?;
        self.copies.deleted(id, &old).await;
        Ok(())
    }
}

/// Returns the user if the etag allows to change it. Nobody else changes it before the transaction ends.
async fn current(transaction: &mut Transaction, id: &str, given_etag: &str) -> Result<User, Error> {
    let row = transaction.optional(lock(id)).await?.ok_or_else(|| not_found(id))?;
    let user = user(&row)?;
    if !etag::allows(given_etag, &user.etag()) {
        return Err(Error::Stale { name: user.name() });
    }
    Ok(user)
}

/// The statement that inserts a user; it gives no row if the id or the address is another's.
fn inserted(new: &New) -> Statement {
    Statement::new(
        "insert into users (id, display_name, email, email_key, create_time, update_time, revision)
         values ($1, $2, $3, $4, $5, $5, 1) on conflict do nothing returning *",
    )
    .bind(new.id.as_str())
    .bind(new.display_name.as_str())
    .bind(new.email.as_str())
    .bind(new.email_key.as_str())
    .bind(new.now)
}

/// Why a user was not inserted: there is one of its id, or else one of its address.
fn taken(new: &New, of_id: Option<&Row>) -> Error {
    match of_id {
        Some(_) => Error::IdTaken { name: format!("{USERS}/{}", new.id) },
        None => Error::EmailTaken { email: new.email.clone() },
    }
}

/// The statement that reads a user.
#[must_use]
pub fn by_id(id: &str) -> Statement {
    Statement::new("select * from users where id = $1").bind(id)
}

/// The statement that locks a user, and reads it: a write that changes nothing, in every SQL.
#[must_use]
pub fn lock(id: &str) -> Statement {
    Statement::new("update users set revision = revision where id = $1 returning *").bind(id)
}

fn not_found(id: &str) -> Error {
    Error::NotFound { name: format!("{USERS}/{id}") }
}

/// About how many bytes a user has on the wire.
fn bytes(user: &User) -> usize {
    FRAME_BYTES + user.display_name.len() + user.email.len()
}

fn user(row: &Row) -> Result<User, sqlx::Error> {
    Ok(User {
        sequence: row.int("seq")?,
        id: row.text("id")?,
        display_name: row.text("display_name")?,
        email: row.text("email")?,
        create_time: row.int("create_time")?,
        update_time: row.int("update_time")?,
        revision: row.int("revision")?,
    })
}
