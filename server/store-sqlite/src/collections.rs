//! Which number stands for which collection.
//!
//! A number is given once and never again (`AUTOINCREMENT`), so what a number means may be remembered for ever. What
//! number a path has may change: a collection without documents and history is forgotten, and a document written later
//! gives its path a new number. So a path's number is remembered only between two such events, which the *epoch*
//! counts: a reader that began in another epoch than the current one asks the database instead.

use std::collections::HashMap;
use std::sync::Arc;

use andiron_store::StoreError;
use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::store_error;

/// Bytes of paths that are remembered; beyond that, everything is forgotten and learned again.
const REMEMBERED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What an entry costs besides its path.
const ENTRY_BYTES: usize = 96;

/// The numbers of collections that were asked for lately.
#[derive(Default)]
pub(crate) struct CollectionCache(RwLock<Remembered>);

#[derive(Default)]
struct Remembered {
    /// Odd while a group that forgets collections is being finished.
    epoch: u64,
    numbers: HashMap<Arc<str>, i64>,
    paths: HashMap<i64, Arc<str>>,
    bytes: usize,
}

/// When a reader began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl CollectionCache {
    /// To be asked before a read transaction begins.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.0.read().epoch)
    }

    /// The number of a path, for a reader that began in this epoch.
    pub(crate) fn number(&self, epoch: Epoch, path: &str) -> Option<i64> {
        let remembered = self.0.read();
        if remembered.is_current(epoch) {
            remembered.numbers.get(path).copied()
        } else {
            None
        }
    }

    /// What a number stands for.
    pub(crate) fn path(&self, number: i64) -> Option<Arc<str>> {
        self.0.read().paths.get(&number).cloned()
    }

    /// Remembers what a reader that began in this epoch has found in the database.
    pub(crate) fn remember(&self, epoch: Epoch, path: &Arc<str>, number: i64) {
        let mut remembered = self.0.write();
        if remembered.is_current(epoch) {
            remembered.insert(path, number);
        }
    }

    /// Called before a group that forgets collections becomes visible.
    pub(crate) fn begin_forgetting(&self) {
        let mut remembered = self.0.write();
        debug_assert!(remembered.epoch.is_multiple_of(2), "one group at a time");
        *remembered = Remembered {
            epoch: remembered.epoch + 1,
            ..Remembered::default()
        };
    }

    /// Called after it.
    pub(crate) fn end_forgetting(&self) {
        self.0.write().epoch += 1;
    }
}

impl Remembered {
    fn is_current(&self, epoch: Epoch) -> bool {
        self.epoch == epoch.0 && self.epoch.is_multiple_of(2)
    }

    fn insert(&mut self, path: &Arc<str>, number: i64) {
        let bytes = path.len() + ENTRY_BYTES;
        if self.bytes + bytes > REMEMBERED_BYTES_MAX {
            self.numbers.clear();
            self.paths.clear();
            self.bytes = 0;
        }
        if self.numbers.insert(Arc::clone(path), number).is_none() {
            self.bytes += bytes;
        }
        self.paths.insert(number, Arc::clone(path));
    }
}

/// The path with a NUL byte between segments. Ids have no NUL, so these bytes compare as paths do.
pub(crate) fn ordered(path: &str) -> Vec<u8> {
    path.bytes()
        .map(|byte| if byte == b'/' { 0 } else { byte })
        .collect()
}

/// Asks the database for the number of a path.
pub(crate) fn find_number(connection: &Connection, path: &str) -> Result<Option<i64>, StoreError> {
    connection
        .prepare_cached("SELECT number FROM collections WHERE ordered = ?1")
        .and_then(|mut statement| statement.query_row([ordered(path)], |row| row.get(0)).optional())
        .map_err(store_error("looking a collection up"))
}

/// Asks the database what a number stands for.
pub(crate) fn find_path(connection: &Connection, number: i64) -> Result<Arc<str>, StoreError> {
    connection
        .prepare_cached("SELECT path FROM collections WHERE number = ?1")
        .and_then(|mut statement| statement.query_row([number], |row| row.get(0)).optional())
        .map_err(store_error("looking a collection up"))?
        .ok_or_else(|| StoreError::Corrupt {
            detail: format!("there is no collection number {number}"),
        })
}

/// Gives a path a number.
pub(crate) fn insert(connection: &Connection, path: &str) -> Result<i64, StoreError> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    connection
        .prepare_cached("INSERT INTO collections (path, name, parent, ordered) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| statement.insert(params![path, name, parent, ordered(path)]))
        .map_err(store_error("adding a collection"))
}
