//! Opens PostgreSQL: one schema per service in whatever database the URL names.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::database::{
    error::OpenError,
    failure::{self, Failure},
    location::{Limits, Location},
    schema::Schema,
};

/// A server that cannot be reached is asked again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Connects, waiting for the server if it must, and brings the schema up to date.
pub(crate) async fn open(options: PgConnectOptions, schema: Schema, limits: Limits) -> Result<PgPool, OpenError> {
    let url = Location::Postgres(Box::new(options.clone())).to_string();
    let pool = PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.wait)
        .connect_lazy_with(connect_options(&options, schema, limits));
    let connected = connected(pool.clone(), url.clone()).await;
    let mut connection = connected.map_err(|source| OpenError::Connect { url: url.clone(), source })?;
    let prepared = prepare(&mut connection, schema).await;
    prepared.map_err(|source| OpenError::Connect { url: url.clone(), source })?;
    let migrated = schema.migrator(|migration| migration.postgres).run_direct(None, &mut *connection, false).await;
    migrated.map_err(|source| OpenError::Migrate { url: url.clone(), source })?;
    info!(database = %url, schema = schema.name, "the database is ready");
    Ok(pool)
}

/// Returns a connection, as soon as there is one.
async fn connected(pool: PgPool, url: String) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let mut told = String::new();
    loop {
        match pool.acquire().await {
            Err(error) if Failure::is_passing(&error) => {
                let reason = failure::told(&error);
                if reason != told {
                    warn!(database = %url, error = reason, "the database cannot be reached: it is waited for");
                }
                told = reason;
                sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

fn connect_options(options: &PgConnectOptions, schema: Schema, limits: Limits) -> PgConnectOptions {
    let wait = limits.wait.as_millis().to_string();
    options.clone().application_name(schema.name).options([
        ("search_path", schema.name),
        // A call that waits for another writer ends as one that waits for a connection does.
        ("lock_timeout", &wait),
        ("idle_in_transaction_session_timeout", "60000"),
        ("statement_timeout", "60000"),
        // Each statement has an index that is meant for it: to read a table from its beginning may seem cheaper where the
        // rows are guessed to be at the beginning.
        ("enable_seqscan", "off"),
    ])
}

/// Makes the schema. "If not exists" alone fails if two do it at once.
async fn prepare(connection: &mut PgConnection, schema: Schema) -> Result<(), sqlx::Error> {
    let lock = format!(
        "begin; select pg_advisory_xact_lock(hashtext('selvedge schema {name}'));
         create schema if not exists \"{name}\"; commit",
        name = schema.name
    );
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(connection).await.map(drop)
}
