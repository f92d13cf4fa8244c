//! Trimming the change log, and forgetting what only it needed: tombstones, and collections that hold nothing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use andiron_store::{LogRetention, StoreError, TrimOutcome};
use rusqlite::{Connection, params};

use crate::error::store_error;
use crate::view::{State, each_row, integer, text};

const DOING: &str = "trimming the change log";

/// What a step of trimming did.
pub(crate) struct Trimmed {
    pub(crate) outcome: TrimOutcome,
    /// The numbers of collections that exist no more.
    pub(crate) forgotten: BTreeSet<i64>,
}

/// The beginning of the log, in whole commits.
#[derive(Default)]
struct Part {
    changes: u64,
    bytes: i64,
    /// The last key.
    key: i64,
    /// The last version.
    version: i64,
    /// Collection, id and version of the deletions.
    deletions: Vec<(i64, String, i64)>,
}

impl Part {
    fn append(&mut self, commit: Part) {
        self.changes += commit.changes;
        self.bytes += commit.bytes;
        self.key = commit.key;
        self.version = commit.version;
        self.deletions.extend(commit.deletions);
    }
}

/// Removes the oldest commits that need not be kept, at least one if there is one.
pub(crate) fn trim(
    connection: &Connection,
    state: &mut State,
    retention: LogRetention,
) -> Result<Trimmed, StoreError> {
    let (part, more) = choose(connection, state, retention)?;
    let mut forgotten = BTreeSet::new();
    if part.changes > 0 {
        execute(connection, "DELETE FROM log WHERE key <= ?1", [part.key])?;
        let emptied = remove_tombstones(connection, &part.deletions)?;
        for collection in emptied {
            if forget_if_empty(connection, collection)? {
                forgotten.insert(collection);
            }
        }
        state.log_start = part.version;
        state.log_changes -= part.changes as i64;
        state.log_bytes -= part.bytes;
    }
    Ok(Trimmed {
        outcome: TrimOutcome {
            removed: part.changes,
            more,
        },
        forgotten,
    })
}

/// The part of the log to remove in this step, and whether more is to be removed after it.
fn choose(
    connection: &Connection,
    state: &State,
    retention: LogRetention,
) -> Result<(Part, bool), StoreError> {
    let bytes_max = i64::try_from(retention.bytes_max).unwrap_or(i64::MAX);
    let after = retention.after.as_micros();
    let mut part = Part::default();
    let mut commit = Part::default();
    let mut more = false;
    // Takes the commit that has been read to its end; `false` if the part is complete without it.
    let mut take = |part: &mut Part, commit: &mut Part| {
        if commit.version > after && state.log_bytes - part.bytes <= bytes_max {
            return false;
        }
        if part.changes > 0 && part.changes + commit.changes > retention.step_changes_max {
            more = true;
            return false;
        }
        part.append(std::mem::take(commit));
        true
    };
    let mut complete = false;
    each_row(
        connection,
        DOING,
        "SELECT key, version, ifnull(octet_length(before_data), 0), deleted, collection, id
         FROM log ORDER BY key",
        [],
        |row| {
            let version = integer(row, 1)?;
            if commit.changes > 0 && commit.version != version && !take(&mut part, &mut commit) {
                complete = true;
                return Ok(ControlFlow::Break(()));
            }
            commit.changes += 1;
            commit.bytes += integer(row, 2)?;
            commit.key = integer(row, 0)?;
            commit.version = version;
            if integer(row, 3)? != 0 {
                commit
                    .deletions
                    .push((integer(row, 4)?, text(row, 5)?.to_owned(), version));
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    if !complete && commit.changes > 0 {
        take(&mut part, &mut commit);
    }
    Ok((part, more))
}

/// Removes the tombstones of deletions that the log forgets, and returns the collections that lost one.
fn remove_tombstones(
    connection: &Connection,
    deletions: &[(i64, String, i64)],
) -> Result<BTreeSet<i64>, StoreError> {
    let mut collections = BTreeSet::new();
    for (collection, id, version) in deletions {
        // A document that was created again has none, and one deleted again has that of its last deletion.
        let removed = execute(
            connection,
            "DELETE FROM tombstones WHERE collection = ?1 AND id = ?2 AND version = ?3",
            params![collection, id, version],
        )?;
        if removed > 0 {
            collections.insert(*collection);
        }
    }
    Ok(collections)
}

/// Forgets a collection that has neither documents nor tombstones: then the log does not speak of it either, because
/// the last change of a document that is gone is its deletion.
fn forget_if_empty(connection: &Connection, collection: i64) -> Result<bool, StoreError> {
    let removed = execute(
        connection,
        "DELETE FROM collections WHERE number = ?1
         AND NOT EXISTS (SELECT 1 FROM documents WHERE collection = ?1)
         AND NOT EXISTS (SELECT 1 FROM tombstones WHERE collection = ?1)",
        [collection],
    )?;
    Ok(removed > 0)
}

fn execute(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params))
        .map_err(store_error(DOING))
}
