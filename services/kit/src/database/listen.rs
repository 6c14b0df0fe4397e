//! What one transaction tells all processes when it commits: `NOTIFY` of PostgreSQL.

use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::database::{pool::Database, statement::Statement, transaction::Transaction};

/// Hears what is told on a channel.
#[derive(Debug)]
pub struct Listener {
    inner: PgListener,
}

impl Database {
    /// Listens on a channel of the service's schema, over a connection of its own; nothing if the engine does not tell.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn listen(&self, channel: &str) -> Result<Option<Listener>, sqlx::Error> {
        let Some(options) = self.server() else { return Ok(None) };
        let schema = self.optional(Statement::new("select current_schema()::text as name")).await?;
        let schema = schema.ok_or(sqlx::Error::RowNotFound)?.text("name")?;
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_lazy_with((*options).clone());
        let mut inner = PgListener::connect_with(&pool).await?;
        // Whoever listens looks for what it missed when it begins again.
        inner.eager_reconnect(false);
        inner.listen(&format!("{channel}_{schema}")).await?;
        Ok(Some(Listener { inner }))
    }
}

impl Listener {
    /// Waits for the next text; nothing when the connection was lost.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn next(&mut self) -> Result<Option<String>, sqlx::Error> {
        Ok(self.inner.try_recv().await?.map(|told| told.payload().to_owned()))
    }
}

impl Transaction {
    /// Tells those who listen on a channel, when the transaction commits; nobody, if the engine does not tell.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn tell(&mut self, channel: &str, text: &str) -> Result<(), sqlx::Error> {
        if !self.tells() {
            return Ok(());
        }
        let notify = Statement::new("select 1 as told from pg_notify($1 || '_' || current_schema(), $2)");
        self.one(notify.bind(channel).bind(text)).await.map(drop)
    }
}
