//! The schema of a service's database, step by step.

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrationType, Migrator},
};

/// The tables of one service.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The service's name; on PostgreSQL also that of the schema that holds the tables.
    pub name: &'static str,
    /// The steps, in their order.
    pub migrations: &'static [Migration],
}

/// One step of a schema. Steps are only ever added: what was applied once must stay as it is.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order.
    pub version: i64,
    /// What it does.
    pub description: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
}

impl Schema {
    /// Returns the version of the newest step.
    #[must_use]
    pub const fn newest(&self) -> i64 {
        match self.migrations.last() {
            Some(migration) => migration.version,
            None => 0,
        }
    }

    /// Returns what brings a database up to date, with the statements that `sql` chooses.
    pub(crate) fn migrator(self, sql: fn(&Migration) -> &'static str) -> Migrator {
        let step = |migration: &Migration| {
            let &Migration { version, description, .. } = migration;
            let sql = sql(migration).into_sql_str();
            sqlx::migrate::Migration::new(version, description.into(), MigrationType::Simple, sql, false)
        };
        Migrator::with_migrations(self.migrations.iter().map(step).collect())
    }
}
