//! The tables, and how those of an earlier format become those of today.
//!
//! The format is in SQLite's `user_version`; `application_id` says that the database is ours. A change of the tables is
//! a new step at the end of [`STEPS`] and a fixture of the format before it under `tests/fixtures`, never an edit of a
//! step that was released.

use andiron_store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::{DriverError, driver_error, store_error};

/// The format that this program writes.
pub const FORMAT: u32 = STEPS.len() as u32;

/// "Andr": the mark of an Andiron database in its header.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Andr");

/// `STEPS[n]` turns format `n` into format `n + 1`; format 0 is the empty database.
const STEPS: &[&str] = &[FORMAT_1];

/// Documents are a rowid table: rows are appended, so that ids in any order cost little, and index entries name them by
/// a small number. `log.key` is the version shifted by [`crate::history::POSITION_BITS`] plus the position within the
/// commit (see there for very late versions), so that the log is clustered in its own order without a second index. `log.previous` is the version of the
/// change before this one of the same document, deletions included: a chain from the row in `documents`, or the one in
/// `tombstones` if the document is deleted, back through its history. `collections.ordered` is the path with a NUL
/// byte between segments, whose byte order is the order of paths.
///
/// Each index has a table of its own besides, `index_<id>`.
const FORMAT_1: &str = "
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        last_version INTEGER NOT NULL,
        log_start INTEGER NOT NULL,
        log_changes INTEGER NOT NULL,
        log_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (1, 0, 0, 0, 0);

    CREATE TABLE collections (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL,
        name TEXT NOT NULL,
        parent TEXT NOT NULL,
        ordered BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX collections_by_path ON collections (ordered);
    CREATE INDEX collections_by_name ON collections (name);
    CREATE INDEX collections_by_parent ON collections (parent, name);

    CREATE TABLE documents (
        number INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        created INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX documents_by_path ON documents (collection, id);

    CREATE TABLE tombstones (
        collection INTEGER NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (collection, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE log (
        key INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        collection INTEGER NOT NULL,
        id TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        previous INTEGER,
        before_created INTEGER,
        before_data TEXT
    ) STRICT;

    CREATE TABLE indexes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        definition TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('building', 'ready'))
    ) STRICT;

    CREATE VIEW documents_readable AS
    SELECT
        c.path AS collection,
        d.id,
        strftime('%Y-%m-%dT%H:%M:%S', d.created / 1000000, 'unixepoch')
            || printf('.%06dZ', d.created % 1000000) AS created,
        strftime('%Y-%m-%dT%H:%M:%S', d.version / 1000000, 'unixepoch')
            || printf('.%06dZ', d.version % 1000000) AS updated,
        d.data
    FROM documents AS d JOIN collections AS c ON c.number = d.collection;
";

/// Brings the database to [`FORMAT`], each step in a transaction of its own, so that one that is cut short is begun
/// again.
pub(crate) fn migrate(connection: &mut Connection, path: &str) -> Result<(), StoreError> {
    for format in check(connection, path)?..FORMAT {
        step(connection, format).map_err(store_error("bringing the data to the current format"))?;
    }
    Ok(())
}

/// The format of the database, if this program can read it.
pub(crate) fn check(connection: &Connection, path: &str) -> Result<u32, StoreError> {
    let doing = "reading the format of the data";
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(store_error(doing))?;
    let format = number("user_version").map_err(store_error(doing))?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(store_error(doing))?;
    if tables == 0 && format == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID || format < 1 {
        let path = path.to_owned();
        return Err(driver_error(doing, DriverError::ForeignDatabase { path }));
    }
    match u32::try_from(format) {
        Ok(format) if format <= FORMAT => Ok(format),
        _ => Err(StoreError::NewerFormat {
            found: format.unsigned_abs(),
            supported: FORMAT,
        }),
    }
}

fn step(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(STEPS[from as usize])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", from + 1)?;
    transaction.commit()
}
