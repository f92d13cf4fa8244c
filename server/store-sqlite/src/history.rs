//! The change log: what it says about the past of a document, and what happened after a version.

use std::ops::ControlFlow;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Version};
use andiron_store::{Change, DocumentRow, StoreError, StoredDocument, VisitChange};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::store_error;
use crate::view::{CollectionCursor, View, each_row, integer, text, version};

/// Bits of `log.key` below the version.
pub(crate) const POSITION_BITS: u32 = 10;
/// Changes that one commit can have: twice what the protocol admits.
pub(crate) const COMMIT_CHANGES_MAX: usize = 1 << POSITION_BITS;
/// From this version on (a clock in the year 2112) keys just count up from that of this version: then a change is found
/// by reading through them. So every version can be stored, and those of our time are found at once.
pub(crate) const LATE_VERSION: i64 = 1 << 52;

/// The key of a commit's first change; for a late version, a key before it.
pub(crate) fn first_key(version: i64) -> i64 {
    version.min(LATE_VERSION) << POSITION_BITS
}

/// A key after all those of a version.
fn key_after(version: i64) -> i64 {
    if version < LATE_VERSION {
        first_key(version + 1)
    } else {
        i64::MAX
    }
}

/// The key for a change at a position within its commit.
pub(crate) fn key_of(connection: &Connection, version: i64, position: usize) -> Result<i64, StoreError> {
    if version < LATE_VERSION {
        return Ok(first_key(version) + position as i64);
    }
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(key) FROM log")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(store_error("writing the change log"))?;
    Ok(last.map_or(0, |last| last + 1).max(first_key(version)))
}

/// Fails unless states at this version can be read.
pub(crate) fn check_start(log_start: i64, asked: Version) -> Result<(), StoreError> {
    let start = Version::from_micros(log_start);
    if asked < start {
        Err(StoreError::HistoryGone { asked, start })
    } else {
        Ok(())
    }
}

/// The document right after the last commit at or before a version.
pub(crate) fn get_at(
    view: &impl View,
    path: &DocumentPath,
    asked: Version,
) -> Result<Option<StoredDocument>, StoreError> {
    check_start(view.state().log_start, asked)?;
    let Some(collection) = view.collection_number(path.collection_str())? else {
        return Ok(None);
    };
    let connection = view.connection();
    let mut changed = match find_current(connection, collection, path)? {
        Some(document) if document.version <= asked => return Ok(Some(document)),
        Some(document) => document.version,
        None => match find_tombstone(connection, collection, path.id())? {
            Some(deleted) if deleted > asked => deleted,
            _ => return Ok(None),
        },
    };
    // The document was last changed after the version asked for: back from change to change.
    loop {
        let (previous, before) = find_before(connection, collection, path, changed)?;
        match previous {
            Some(previous) if previous > asked => changed = previous,
            _ => return Ok(before),
        }
    }
}

/// The changes after a version.
pub(crate) fn changes(view: &impl View, after: Version, visit: VisitChange<'_>) -> Result<(), StoreError> {
    check_start(view.state().log_start, after)?;
    let collections = CollectionCursor::default();
    each_row(
        view.connection(),
        "reading the change log",
        "SELECT version, collection, id, deleted, previous, before_created, before_data
         FROM log WHERE key >= ?1 AND version > ?2 ORDER BY key",
        [first_key(after.as_micros().saturating_add(1)), after.as_micros()],
        |row| {
            let collection = collections.path(view, integer(row, 1)?)?;
            let id = text(row, 2)?;
            Ok(visit(Change {
                version: version(row, 0)?,
                collection: &collection,
                id,
                before: before(row, &collection, id)?,
                deleted: integer(row, 3)? != 0,
            }))
        },
    )
}

/// The document before a change, from the columns 4 to 6 of a row.
fn before<'a>(
    row: &'a Row<'_>,
    collection: &'a str,
    id: &'a str,
) -> Result<Option<DocumentRow<'a>>, StoreError> {
    let doing = "reading the change log";
    let created: Option<i64> = row.get(5).map_err(store_error(doing))?;
    let Some(created) = created else {
        return Ok(None);
    };
    Ok(Some(DocumentRow {
        collection,
        id,
        version: version(row, 4)?,
        created: Version::from_micros(created),
        data: text(row, 6)?,
    }))
}

fn find_current(
    connection: &Connection,
    collection: i64,
    path: &DocumentPath,
) -> Result<Option<StoredDocument>, StoreError> {
    let mut found = None;
    each_row(
        connection,
        "reading a document",
        "SELECT version, created, data FROM documents WHERE collection = ?1 AND id = ?2",
        params![collection, path.id()],
        |row| {
            found = Some(StoredDocument {
                path: path.clone(),
                version: version(row, 0)?,
                created: version(row, 1)?,
                data: Arc::from(text(row, 2)?),
            });
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(found)
}

/// The version that deleted a document, if the log still knows.
pub(crate) fn find_tombstone(
    connection: &Connection,
    collection: i64,
    id: &str,
) -> Result<Option<Version>, StoreError> {
    connection
        .prepare_cached("SELECT version FROM tombstones WHERE collection = ?1 AND id = ?2")
        .and_then(|mut statement| {
            statement
                .query_row(params![collection, id], |row| row.get(0))
                .optional()
        })
        .map(|found| found.map(Version::from_micros))
        .map_err(store_error("reading a deleted document"))
}

/// What the log says about the change of a document by a commit: the version of the change before it, and the document
/// before it.
fn find_before(
    connection: &Connection,
    collection: i64,
    path: &DocumentPath,
    changed: Version,
) -> Result<(Option<Version>, Option<StoredDocument>), StoreError> {
    let mut found = None;
    each_row(
        connection,
        "reading the change log",
        "SELECT version, collection, id, deleted, previous, before_created, before_data
         FROM log WHERE key >= ?1 AND key < ?2 AND version = ?3 AND collection = ?4 AND id = ?5",
        params![
            first_key(changed.as_micros()),
            key_after(changed.as_micros()),
            changed.as_micros(),
            collection,
            path.id()
        ],
        |row| {
            let previous: Option<i64> = row.get(4).map_err(store_error("reading the change log"))?;
            let before = before(row, path.collection_str(), path.id())?.map(|row| StoredDocument {
                path: path.clone(),
                version: row.version,
                created: row.created,
                data: Arc::from(row.data),
            });
            found = Some((previous.map(Version::from_micros), before));
            Ok(ControlFlow::Break(()))
        },
    )?;
    found.ok_or_else(|| StoreError::Corrupt {
        detail: format!("the change log has no change of `{path}` at version {changed}"),
    })
}
