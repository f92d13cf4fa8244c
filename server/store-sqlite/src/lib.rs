//! The store contract on embedded SQLite.
//!
//! A data folder holds one database in WAL mode, which a self-hoster can read with plain `sqlite3` (start with the view
//! `documents_readable`), and a lock file that keeps a second process out. One connection writes, a bounded pool of
//! connections reads, and a thread of the store's own moves the write-ahead log into the database.
//!
//! Invariants:
//! - [`Group::finish`](andiron_store::Group::finish) answers only after the commits are on disk as [`Durability`] says.
//! - After a sync that failed nothing is written any more, neither by a group nor while the store is closed.
//! - No statement is built from anything but constants and index numbers; all else is a bound parameter.
//! - Readers never wait for the writer, and the writer never waits for readers.
//!
//! Deliberately absent: planning of queries, and any look inside a document's data.

mod backup;
mod check;
mod checkpoint;
mod collections;
mod connection;
mod error;
mod folder;
mod group;
mod history;
mod options;
mod pool;
mod schema;
mod snapshot;
mod store;
mod trim;
mod view;

pub use folder::{DATABASE_FILE, LOCK_FILE};
pub use options::{Durability, SqliteOptions};
pub use schema::FORMAT;
pub use store::SqliteStore;
