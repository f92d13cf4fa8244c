//! Reading, the same for a snapshot and for a group that is under way.
//!
//! Rows are lent to the visitor as they lie in SQLite's pages. A visitor may read from the same view again: statements
//! in use are out of the cache, and a second one is prepared.

use std::cell::RefCell;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, Version};
use andiron_store::{
    DocumentRow, IdRange, IndexId, IndexState, KeyRange, LogInfo, ScanDirection, Snapshot, StoreError,
    StoredDocument, StoredIndex, VisitChange, VisitDocument, VisitEntry, VisitKey,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row, ToSql, params};

use crate::collections;
use crate::error::{not_text, store_error};
use crate::history;

/// The row of the table `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The version of the last commit.
    pub(crate) last_version: i64,
    /// The version of the last change that was trimmed.
    pub(crate) log_start: i64,
    /// Rows of the log.
    pub(crate) log_changes: i64,
    /// Bytes of `before_data` in the log.
    pub(crate) log_bytes: i64,
}

impl State {
    /// The state of a store without commits.
    pub(crate) const EMPTY: Self = Self {
        last_version: 0,
        log_start: 0,
        log_changes: 0,
        log_bytes: 0,
    };

    /// Reads it; in a transaction that has not read yet this fixes what the transaction sees.
    pub(crate) fn read(connection: &Connection) -> Result<Self, StoreError> {
        connection
            .prepare_cached("SELECT last_version, log_start, log_changes, log_bytes FROM state")
            .and_then(|mut statement| {
                statement.query_row([], |row| {
                    Ok(Self {
                        last_version: row.get(0)?,
                        log_start: row.get(1)?,
                        log_changes: row.get(2)?,
                        log_bytes: row.get(3)?,
                    })
                })
            })
            .map_err(store_error("reading the state"))
    }
}

/// A connection inside a transaction.
pub(crate) trait View {
    fn connection(&self) -> &Connection;
    fn state(&self) -> State;
    /// The number of a collection, if it has one.
    fn collection_number(&self, path: &str) -> Result<Option<i64>, StoreError>;
    /// What a number stands for.
    fn collection_path(&self, number: i64) -> Result<Arc<str>, StoreError>;
}

/// The snapshot that a view gives.
pub(crate) struct Reading<V>(pub(crate) V);

impl<V: View> Snapshot for Reading<V> {
    fn version(&self) -> Result<Version, StoreError> {
        Ok(Version::from_micros(self.0.state().last_version))
    }

    fn get(&self, path: &DocumentPath, visit: VisitDocument<'_>) -> Result<(), StoreError> {
        let collection = path.collection_str();
        let Some(number) = self.0.collection_number(collection)? else {
            return Ok(());
        };
        each_row(
            self.0.connection(),
            "reading a document",
            "SELECT version, created, data FROM documents WHERE collection = ?1 AND id = ?2",
            params![number, path.id()],
            |row| {
                let row = DocumentRow {
                    collection,
                    id: path.id(),
                    version: version(row, 0)?,
                    created: version(row, 1)?,
                    data: text(row, 2)?,
                };
                // There is at most one row, and asking for the next would cost as much as this one.
                let _ = visit(row);
                Ok(ControlFlow::Break(()))
            },
        )
    }

    fn get_at(&self, path: &DocumentPath, version: Version) -> Result<Option<StoredDocument>, StoreError> {
        history::get_at(&self.0, path, version)
    }

    fn scan_collection(
        &self,
        collection: &CollectionPath,
        range: IdRange<'_>,
        direction: ScanDirection,
        visit: VisitDocument<'_>,
    ) -> Result<(), StoreError> {
        let collection = collection.as_str();
        let Some(number) = self.0.collection_number(collection)? else {
            return Ok(());
        };
        let (from, to) = id_bounds(range);
        each_row(
            self.0.connection(),
            "reading a collection",
            match direction {
                ScanDirection::Forward => {
                    "SELECT id, version, created, data FROM documents INDEXED BY documents_by_path
                     WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id"
                }
                ScanDirection::Backward => {
                    "SELECT id, version, created, data FROM documents INDEXED BY documents_by_path
                     WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC"
                }
            },
            params![number, from, to],
            |row| {
                Ok(visit(DocumentRow {
                    collection,
                    id: text(row, 0)?,
                    version: version(row, 1)?,
                    created: version(row, 2)?,
                    data: text(row, 3)?,
                }))
            },
        )
    }

    fn scan_group(&self, name: &str, visit: VisitDocument<'_>) -> Result<(), StoreError> {
        each_row(
            self.0.connection(),
            "reading a collection group",
            "SELECT c.path, d.id, d.version, d.created, d.data
             FROM collections AS c INDEXED BY collections_by_name
             CROSS JOIN documents AS d INDEXED BY documents_by_path
             WHERE c.name = ?1 AND d.collection = c.number ORDER BY c.number, d.id",
            [name],
            |row| {
                Ok(visit(DocumentRow {
                    collection: text(row, 0)?,
                    id: text(row, 1)?,
                    version: version(row, 2)?,
                    created: version(row, 3)?,
                    data: text(row, 4)?,
                }))
            },
        )
    }

    fn scan_index(
        &self,
        index: IndexId,
        range: KeyRange<'_>,
        direction: ScanDirection,
        visit: VisitEntry<'_>,
    ) -> Result<(), StoreError> {
        let collections = CollectionCursor::default();
        let (from, to) = key_bounds(range);
        each_row(
            self.0.connection(),
            "reading an index",
            &format!(
                "SELECT i.key, d.collection, d.id, d.version, d.created, d.data
                 FROM index_{} AS i LEFT JOIN documents AS d ON d.number = i.document
                 WHERE i.key >= ?1 AND {} ORDER BY i.key{}",
                index.0,
                upper(&to, "i.key"),
                order(direction),
            ),
            params![from, to],
            |row| {
                let number: Option<i64> = row.get(1).map_err(store_error("reading an index"))?;
                let Some(number) = number else {
                    return Err(StoreError::Corrupt {
                        detail: format!("index {} has an entry of a document that is not there", index.0),
                    });
                };
                let collection = collections.path(&self.0, number)?;
                let document = DocumentRow {
                    collection: &collection,
                    id: text(row, 2)?,
                    version: version(row, 3)?,
                    created: version(row, 4)?,
                    data: text(row, 5)?,
                };
                Ok(visit(blob(row, 0)?, document))
            },
        )
    }

    fn scan_index_keys(
        &self,
        index: IndexId,
        range: KeyRange<'_>,
        direction: ScanDirection,
        visit: VisitKey<'_>,
    ) -> Result<(), StoreError> {
        let (from, to) = key_bounds(range);
        each_row(
            self.0.connection(),
            "reading an index",
            &format!(
                "SELECT key FROM index_{} WHERE key >= ?1 AND {} ORDER BY key{}",
                index.0,
                upper(&to, "key"),
                order(direction),
            ),
            params![from, to],
            |row| Ok(visit(blob(row, 0)?)),
        )
    }

    fn count_index(&self, index: IndexId, range: KeyRange<'_>, max: u64) -> Result<u64, StoreError> {
        let (from, to) = key_bounds(range);
        count(
            self.0.connection(),
            "counting an index",
            &format!(
                "SELECT count(*) FROM (SELECT 1 FROM index_{} WHERE key >= ?1 AND {} LIMIT ?3)",
                index.0,
                upper(&to, "key"),
            ),
            params![from, to, limit(max)],
        )
    }

    fn count_collection(
        &self,
        collection: &CollectionPath,
        range: IdRange<'_>,
        max: u64,
    ) -> Result<u64, StoreError> {
        let Some(number) = self.0.collection_number(collection.as_str())? else {
            return Ok(0);
        };
        let (from, to) = id_bounds(range);
        count(
            self.0.connection(),
            "counting a collection",
            "SELECT count(*) FROM (SELECT 1 FROM documents INDEXED BY documents_by_path
             WHERE collection = ?1 AND id >= ?2 AND id < ?3 LIMIT ?4)",
            params![number, from, to, limit(max)],
        )
    }

    fn collection_names(&self, parent: Option<&DocumentPath>) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        each_row(
            self.0.connection(),
            "listing collections",
            "SELECT name FROM collections AS c INDEXED BY collections_by_parent
             WHERE parent = ?1 AND EXISTS (SELECT 1 FROM documents AS d WHERE d.collection = c.number)
             ORDER BY name",
            [parent.map_or("", DocumentPath::as_str)],
            |row| {
                names.push(text(row, 0)?.to_owned());
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok(names)
    }

    fn collections(
        &self,
        after: Option<&CollectionPath>,
        max: usize,
    ) -> Result<Vec<CollectionPath>, StoreError> {
        let mut paths = Vec::new();
        each_row(
            self.0.connection(),
            "listing collections",
            "SELECT path FROM collections AS c INDEXED BY collections_by_path
             WHERE ordered > ?1 AND EXISTS (SELECT 1 FROM documents AS d WHERE d.collection = c.number)
             ORDER BY ordered LIMIT ?2",
            params![
                after.map_or_else(Vec::new, |path| collections::ordered(path.as_str())),
                limit(max as u64)
            ],
            |row| {
                paths.push(text(row, 0)?.parse().map_err(not_a_path)?);
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok(paths)
    }

    fn changes(&self, after: Version, visit: VisitChange<'_>) -> Result<(), StoreError> {
        history::changes(&self.0, after, visit)
    }

    fn log(&self) -> Result<LogInfo, StoreError> {
        let state = self.0.state();
        Ok(LogInfo {
            start: Version::from_micros(state.log_start),
            changes: state.log_changes.unsigned_abs(),
            bytes: state.log_bytes.unsigned_abs(),
        })
    }

    fn indexes(&self) -> Result<Vec<StoredIndex>, StoreError> {
        let mut indexes = Vec::new();
        each_row(
            self.0.connection(),
            "listing indexes",
            "SELECT id, definition, state FROM indexes ORDER BY id",
            [],
            |row| {
                let id = integer(row, 0)?;
                let damaged = |problem: &dyn std::fmt::Display| StoreError::Corrupt {
                    detail: format!("the definition of index {id} is damaged: {problem}"),
                };
                indexes.push(StoredIndex {
                    id: IndexId(u32::try_from(id).map_err(|error| damaged(&error))?),
                    definition: serde_json::from_str(text(row, 1)?).map_err(|error| damaged(&error))?,
                    state: match text(row, 2)? {
                        "ready" => IndexState::Ready,
                        "building" => IndexState::Building,
                        state => return Err(damaged(&format_args!("its state is `{state}`"))),
                    },
                });
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok(indexes)
    }
}

/// Remembers the collection of the last row: neighbours mostly share it.
#[derive(Default)]
pub(crate) struct CollectionCursor(RefCell<Option<(i64, Arc<str>)>>);

impl CollectionCursor {
    pub(crate) fn path(&self, view: &impl View, number: i64) -> Result<Arc<str>, StoreError> {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((last, path)) if *last == number => Ok(Arc::clone(path)),
            _ => {
                let path = view.collection_path(number)?;
                *last = Some((number, Arc::clone(&path)));
                Ok(path)
            }
        }
    }
}

/// Runs a query and hands each row to `row` until it breaks.
pub(crate) fn each_row(
    connection: &Connection,
    doing: &'static str,
    sql: &str,
    params: impl Params,
    mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error(doing))?;
    let mut rows = statement.query(params).map_err(store_error(doing))?;
    while let Some(row) = rows.next().map_err(store_error(doing))? {
        if each(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn count(
    connection: &Connection,
    doing: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<u64, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(params, |row| row.get::<_, i64>(0)))
        .map(i64::unsigned_abs)
        .map_err(store_error(doing))
}

fn limit(max: u64) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

pub(crate) fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    let value = row.get_ref(column).map_err(store_error("reading a row"))?;
    value.as_str().map_err(not_text)
}

pub(crate) fn integer(row: &Row<'_>, column: usize) -> Result<i64, StoreError> {
    let value = row.get_ref(column).map_err(store_error("reading a row"))?;
    value.as_i64().map_err(not_text)
}

pub(crate) fn version(row: &Row<'_>, column: usize) -> Result<Version, StoreError> {
    integer(row, column).map(Version::from_micros)
}

pub(crate) fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], StoreError> {
    let value = row.get_ref(column).map_err(store_error("reading a row"))?;
    value.as_blob().map_err(not_text)
}

pub(crate) fn not_a_path(error: andiron_protocol::InputError) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a stored path is not one: {error}"),
    }
}

/// The end of a half-open range: everything up to a text or key, or everything.
enum End<T> {
    Before(T),
    Open,
}

impl ToSql for End<String> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Before(text) => ValueRef::Text(text.as_bytes()),
            // SQLite orders every blob after every text.
            Self::Open => ValueRef::Blob(&[]),
        }))
    }
}

impl ToSql for End<Vec<u8>> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Before(key) => ValueRef::Blob(key),
            Self::Open => ValueRef::Null,
        }))
    }
}

/// A range of ids as `>= from` and `< to`. The text that follows another at once is the same with a NUL behind it.
fn id_bounds(range: IdRange<'_>) -> (String, End<String>) {
    let from = match range.0 {
        Bound::Unbounded => String::new(),
        Bound::Included(id) => id.to_owned(),
        Bound::Excluded(id) => format!("{id}\0"),
    };
    let to = match range.1 {
        Bound::Unbounded => End::Open,
        Bound::Included(id) => End::Before(format!("{id}\0")),
        Bound::Excluded(id) => End::Before(id.to_owned()),
    };
    (from, to)
}

/// A range of keys, likewise.
fn key_bounds(range: KeyRange<'_>) -> (Vec<u8>, End<Vec<u8>>) {
    let following = |key: &[u8]| {
        let mut following = Vec::with_capacity(key.len() + 1);
        following.extend_from_slice(key);
        following.push(0);
        following
    };
    let from = match range.0 {
        Bound::Unbounded => Vec::new(),
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => following(key),
    };
    let to = match range.1 {
        Bound::Unbounded => End::Open,
        Bound::Included(key) => End::Before(following(key)),
        Bound::Excluded(key) => End::Before(key.to_vec()),
    };
    (from, to)
}

/// The upper end of a range of keys as SQL; no value comes after every blob, so an open end needs other words.
fn upper(to: &End<Vec<u8>>, column: &str) -> String {
    match to {
        End::Before(_) => format!("{column} < ?2"),
        End::Open => "?2 IS NULL".to_owned(),
    }
}

fn order(direction: ScanDirection) -> &'static str {
    match direction {
        ScanDirection::Forward => "",
        ScanDirection::Backward => " DESC",
    }
}
