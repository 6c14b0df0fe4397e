//! The services as they run: two processes of each, called through the mesh, on SQLite, and on PostgreSQL with Redis.

mod cache;
mod restart;
pub(crate) mod shop;
mod stock;
mod watch;
