//! Asks a database whether it is there, past the connections that calls wait for.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::database::pool::Database;

/// Asks one database.
#[derive(Debug)]
pub(crate) struct Probe {
    way: Way,
    patience: Duration,
}

#[derive(Debug)]
enum Way {
    /// The file is asked for something that is not remembered.
    Sqlite(Database),
    /// A connection of its own: all others may be busy.
    Postgres { options: Arc<PgConnectOptions>, connection: Option<PgConnection> },
}

impl Probe {
    /// A server that takes longer than `patience` does not answer.
    pub(crate) fn new(database: &Database, patience: Duration) -> Self {
        let way = match database.server() {
            Some(options) => Way::Postgres { options, connection: None },
            None => Way::Sqlite(database.clone()),
        };
        Self { way, patience }
    }

    /// Returns why the database does not answer, if it does not.
    pub(crate) async fn ask(&mut self) -> Result<(), String> {
        match &mut self.way {
            Way::Sqlite(database) => {
                match database.ask_file().await {
                    // Busy is not away.
                    Ok(_) | Err(sqlx::Error::PoolTimedOut) => Ok(()),
                    Err(error) => Err(error.to_string()),
                }
            }
            Way::Postgres { options, connection } => {
                // Whatever ended while it was asked is not asked again.
                let asked = connection.take();
                match timeout(self.patience, answered(options, asked)).await {
                    Ok(Ok(answered)) => {
                        *connection = Some(answered);
                        Ok(())
                    }
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err(format!("no answer within {} s", self.patience.as_secs())),
                }
            }
        }
    }
}

/// Asks over a connection, a new one if there is none or the old one broke.
async fn answered(options: &PgConnectOptions, asked: Option<PgConnection>) -> Result<PgConnection, sqlx::Error> {
    if let Some(mut connection) = asked
        && connection.ping().await.is_ok()
    {
        return Ok(connection);
    }
    let mut connection = options.connect().await?;
    connection.ping().await?;
    Ok(connection)
}
