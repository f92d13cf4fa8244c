//! Examination of the database: SQLite's own, then what must hold between the tables.

use std::ops::ControlFlow;

use andiron_store::{CHECK_PROBLEMS_MAX, Snapshot, StoreError};
use rusqlite::Connection;

use crate::collections;
use crate::history::{LATE_VERSION, POSITION_BITS};
use crate::snapshot::SnapshotView;
use crate::store::Shared;
use crate::view::{Reading, View, blob, each_row, integer, text};

const DOING: &str = "examining the database";

/// A query for what must not be, and the beginning of the sentence about each of its rows, which are one text each. Where changes of a version stand in the log is said in `history`.
const RULES: &[(&str, &str)] = &[
    (
        "a document is in a collection that does not exist:",
        "SELECT 'document ' || id || ' in number ' || collection FROM documents
         WHERE collection NOT IN (SELECT number FROM collections)",
    ),
    (
        "the change log speaks of a collection that does not exist:",
        "SELECT DISTINCT 'number ' || collection FROM log
         WHERE collection NOT IN (SELECT number FROM collections)",
    ),
    (
        "a collection is not named as its path says:",
        "SELECT path FROM collections WHERE path IS NOT iif(parent = '', name, parent || '/' || name)",
    ),
    (
        "a document is newer than the last commit:",
        "SELECT c.path || '/' || d.id FROM documents AS d JOIN collections AS c ON c.number = d.collection
         WHERE d.version > (SELECT last_version FROM state) OR d.created > d.version",
    ),
    (
        "the last change in the log is newer than the last commit:",
        "SELECT 'version ' || max(version) FROM log
         HAVING max(version) > (SELECT last_version FROM state)",
    ),
    (
        "the change log reaches back behind its start:",
        "SELECT 'version ' || min(version) FROM log
         HAVING min(version) <= (SELECT log_start FROM state)",
    ),
    (
        "the change log is counted wrong:",
        "SELECT log_changes || ' changes and ' || log_bytes || ' bytes' FROM state
         WHERE log_changes <> (SELECT count(*) FROM log)
            OR log_bytes <> (SELECT ifnull(sum(octet_length(before_data)), 0) FROM log)",
    ),
    (
        "a change is not where its version belongs:",
        "SELECT 'version ' || version || ' under key ' || key FROM log
         WHERE iif(version < :late, key >> :bits <> version, key < :late << :bits)",
    ),
    (
        "the log does not have the last change of a document:",
        "SELECT c.path || '/' || d.id FROM documents AS d JOIN collections AS c ON c.number = d.collection
         WHERE d.version > (SELECT log_start FROM state) AND NOT EXISTS (
             SELECT 1 FROM log AS l WHERE l.key >= min(d.version, :late) << :bits
             AND l.key < iif(d.version < :late, (d.version + 1) << :bits, :max) AND l.version = d.version
             AND l.collection = d.collection AND l.id = d.id AND NOT l.deleted)",
    ),
    (
        "the log does not have the deletion of a document:",
        "SELECT c.path || '/' || t.id FROM tombstones AS t JOIN collections AS c ON c.number = t.collection
         WHERE NOT EXISTS (
             SELECT 1 FROM log AS l WHERE l.key >= min(t.version, :late) << :bits
             AND l.key < iif(t.version < :late, (t.version + 1) << :bits, :max) AND l.version = t.version
             AND l.collection = t.collection AND l.id = t.id AND l.deleted)",
    ),
    (
        "a document counts as deleted and is there:",
        "SELECT c.path || '/' || t.id FROM tombstones AS t JOIN collections AS c ON c.number = t.collection
         JOIN documents AS d ON d.collection = t.collection AND d.id = t.id",
    ),
    (
        "the log does not have the change before a change:",
        "SELECT c.path || '/' || n.id || ' at version ' || n.version
         FROM log AS n JOIN collections AS c ON c.number = n.collection
         WHERE n.previous > (SELECT log_start FROM state) AND NOT EXISTS (
             SELECT 1 FROM log AS l WHERE l.key >= min(n.previous, :late) << :bits
             AND l.key < iif(n.previous < :late, (n.previous + 1) << :bits, :max) AND l.version = n.previous
             AND l.collection = n.collection AND l.id = n.id)",
    ),
    (
        "an index has a table but no definition:",
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'index_[0-9]*'
         AND name NOT IN (SELECT 'index_' || id FROM indexes)",
    ),
    (
        "an index has a definition but no table:",
        "SELECT 'index ' || id FROM indexes
         WHERE 'index_' || id NOT IN (SELECT name FROM sqlite_schema WHERE type = 'table')",
    ),
];

pub(crate) fn check(shared: &Shared) -> Result<Vec<String>, StoreError> {
    let snapshot = Reading(SnapshotView::begin(shared)?);
    let connection = snapshot.0.connection();
    let mut problems = Vec::new();
    examine(
        connection,
        &mut problems,
        "damage",
        &format!("PRAGMA integrity_check({CHECK_PROBLEMS_MAX})"),
    )?;
    problems.retain(|problem| problem != "damage ok");
    if !problems.is_empty() {
        // What the rules would say of tables that cannot be read is noise.
        return Ok(problems);
    }
    for (sentence, sql) in RULES {
        let sql = sql
            .replace(":bits", &POSITION_BITS.to_string())
            .replace(":late", &LATE_VERSION.to_string())
            .replace(":max", &i64::MAX.to_string());
        examine(connection, &mut problems, sentence, &sql)?;
    }
    // SQL's functions on texts stop at the NUL that `ordered` has in the place of a slash.
    each_row(
        connection,
        DOING,
        "SELECT path, ordered FROM collections",
        [],
        |row| {
            let path = text(row, 0)?;
            if blob(row, 1)? != collections::ordered(path) && problems.len() < CHECK_PROBLEMS_MAX {
                problems.push(format!("a collection is not found by its path: {path}"));
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    if let Err(StoreError::Corrupt { detail }) = snapshot.indexes() {
        problems.push(detail);
    }
    for id in index_tables(connection)? {
        examine(
            connection,
            &mut problems,
            "an index has an entry of a document that does not exist:",
            &format!(
                "SELECT 'entry ' || hex(key) || ' of index {id}' FROM index_{id}
                 WHERE document NOT IN (SELECT number FROM documents)"
            ),
        )?;
    }
    Ok(problems)
}

/// Adds a sentence for each row, as long as there is room.
fn examine(
    connection: &Connection,
    problems: &mut Vec<String>,
    sentence: &str,
    sql: &str,
) -> Result<(), StoreError> {
    let found = each_row(connection, DOING, sql, [], |row| {
        if problems.len() >= CHECK_PROBLEMS_MAX {
            return Ok(ControlFlow::Break(()));
        }
        problems.push(format!("{sentence} {}", text(row, 0)?));
        Ok(ControlFlow::Continue(()))
    });
    match found {
        // Damage so bad that the query stops at it is what was looked for.
        Err(StoreError::Corrupt { detail }) => {
            problems.push(detail);
            Ok(())
        }
        other => other,
    }
}

/// The indexes that have a definition and a table.
fn index_tables(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut ids = Vec::new();
    each_row(
        connection,
        DOING,
        "SELECT id FROM indexes WHERE 'index_' || id IN (SELECT name FROM sqlite_schema WHERE type = 'table')",
        [],
        |row| {
            ids.push(integer(row, 0)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(ids)
}
