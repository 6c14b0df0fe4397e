//! The same statements straight to the engine, over one connection, without mesh, service and pool.

use std::str::FromStr as _;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, SqliteConnection,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use crate::services::workload::Workload;

/// Rows of a page, and one more.
const PAGE: i64 = 51;

/// A connection.
#[derive(Debug)]
pub(super) struct Floor {
    connection: Connection,
}

#[derive(Debug)]
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A parameter.
#[derive(Clone, Debug)]
enum Value {
    Int(i64),
    Text(String),
}

impl Floor {
    /// Connects as the service does, which is of this name.
    pub(super) async fn connect(url: &str, service: &str) -> anyhow::Result<Self> {
        let connection = if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .pragma("cache_size", "-16384")
                .row_buffer_size(1_024);
            Connection::Sqlite(options.connect().await?)
        } else {
            let options = PgConnectOptions::from_str(url)?.options([("search_path", service)]);
            Connection::Postgres(options.connect().await?)
        };
        Ok(Self { connection })
    }

    /// Does what the service does for a call of this number.
    pub(super) async fn ask(&mut self, workload: Workload, rows: u64, number: u64) -> Result<(), sqlx::Error> {
        let row = workload.row(rows, number);
        match workload {
            // There is none below it.
            Workload::Echo => Ok(()),
            Workload::GetUserWarm | Workload::GetUserCold => {
                self.run("select * from users where id = $1", &[text(format!("user-{row:07}"))]).await
            }
            Workload::CreateUser => self.create_user().await,
            Workload::ReserveStock => self.reserve(&format!("product-{row:07}")).await,
            Workload::ListProducts => {
                let created = Value::Int(selvedge_catalog::store::seed::created(row));
                let row = Value::Int(i64::try_from(row).unwrap_or_default());
                match self.connection {
                    Connection::Sqlite(_) => {
                        let select = "select * from products where (create_time) = ($1) and (seq) > ($2) union all
                             select * from products where (create_time) > ($3) order by create_time, seq limit $4";
                        self.run(select, &[created.clone(), row, created, Value::Int(PAGE)]).await
                    }
                    Connection::Postgres(_) => {
                        let select = "select * from products where (create_time, seq) > ($1, $2)
                             order by create_time, seq limit $3";
                        self.run(select, &[created, row, Value::Int(PAGE)]).await
                    }
                }
            }
        }
    }

    async fn create_user(&mut self) -> Result<(), sqlx::Error> {
        let id = Uuid::new_v4().to_string();
        let email = text(format!("{id}@example.com"));
        let insert = "insert into users (id, display_name, email, email_key, create_time, update_time, revision)
             values ($1, $2, $3, $3, $4, $4, 1) on conflict do nothing returning *";
        self.run(insert, &[text(id), text("Ada"), email, Value::Int(1)]).await
    }

    async fn reserve(&mut self, id: &str) -> Result<(), sqlx::Error> {
        let (request, resource) = (Uuid::new_v4().to_string(), "x".repeat(300));
        self.begin().await?;
        let claim = "insert into requests (method, id, digest, answer, create_time) values ($1, $2, $3, '', $4)
             on conflict do nothing";
        let method = text("Floor");
        self.run(claim, &[method.clone(), text(request.clone()), text("x".repeat(32)), Value::Int(1)]).await?;
        self.run("update products set revision = revision where id = $1 returning *", &[text(id)]).await?;
        self.append(text(resource.clone())).await?;
        let update = "update products set available_quantity = available_quantity - 1,
             reserved_quantity = reserved_quantity + 1, update_time = update_time + 1, revision = revision + 1,
             change_revision = change_revision + 1 where id = $1";
        self.run(update, &[text(id)]).await?;
        let keep = "update requests set answer = $3 where method = $1 and id = $2";
        self.run(keep, &[method, text(request), text(resource)]).await?;
        self.run("commit", &[]).await
    }

    /// Writes into the change log, as the engine allows.
    async fn append(&mut self, resource: Value) -> Result<(), sqlx::Error> {
        let clock = "update change_clock set revision = revision + 1 where id = 1";
        let insert = "insert into changes (revision, kind, resource, create_time)";
        match self.connection {
            Connection::Sqlite(_) => {
                self.run(clock, &[]).await?;
                let log = format!("{insert} select revision, 'updated', $1, $2 from change_clock where id = 1");
                self.run(&log, &[resource, Value::Int(1)]).await
            }
            Connection::Postgres(_) => {
                let log = format!(
                    "with clock as ({clock} returning revision),
                     change as ({insert} select revision, 'updated', $1::text, $2 from clock returning revision)
                     select change.revision from change, pg_notify('floor', change.revision::text)"
                );
                self.run(&log, &[resource, Value::Int(1)]).await
            }
        }
    }

    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        let begin = match self.connection {
            Connection::Sqlite(_) => "begin immediate",
            Connection::Postgres(_) => "begin",
        };
        self.run(begin, &[]).await
    }

    /// Runs a statement, and takes its rows.
    async fn run(&mut self, sql: &str, values: &[Value]) -> Result<(), sqlx::Error> {
        match &mut self.connection {
            Connection::Sqlite(connection) => {
                let query = values.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
                    Value::Int(number) => query.bind(*number),
                    Value::Text(text) => query.bind(text.clone()),
                });
                query.fetch_all(connection).await.map(drop)
            }
            Connection::Postgres(connection) => {
                let query = values.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
                    Value::Int(number) => query.bind(*number),
                    Value::Text(text) => query.bind(text.clone()),
                });
                query.fetch_all(connection).await.map(drop)
            }
        }
    }
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}
