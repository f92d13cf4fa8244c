//! A group: one write transaction on the one connection that writes.
//!
//! A commit is checked completely before anything of it is written, so that a conflict leaves the group as it was
//! without a savepoint. Only the creation of a single document checks by writing: it changes nothing if it conflicts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Source, Version};
use andiron_store::{
    Commit, CommitOutcome, DocumentWrite, EntryChange, Group, IndexDefinition, IndexId, LogRetention,
    QueryCheck, Snapshot, StoreError, TrimOutcome,
};
use parking_lot::MutexGuard;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params, ToSql, params};

use crate::collections;
use crate::error::{DriverError, driver_error, store_error};
use crate::history::{self, COMMIT_CHANGES_MAX};
use crate::store::Shared;
use crate::trim;
use crate::view::{Reading, State, View, each_row, not_a_path, text};

/// Indexes that a store can have. Each is a table, and SQLite reads the definitions of all when it opens.
const INDEXES_MAX: u32 = 1000;

/// A group under way.
pub(crate) struct SqliteGroup<'s> {
    view: Reading<GroupView<'s>>,
    /// Something went wrong halfway, so what is in the transaction is not what was asked for.
    failed: bool,
}

/// The transaction of a group.
pub(crate) struct GroupView<'s> {
    shared: &'s Shared,
    connection: MutexGuard<'s, Connection>,
    state: State,
    /// The state in the database; the row is written once, when the group is finished.
    stored_state: State,
    /// Collections that this group has added, for nobody else to see yet.
    added: HashMap<Arc<str>, i64>,
    /// Whether this group has forgotten collections, so that what is remembered of them may be wrong for it.
    forgot: bool,
    finished: bool,
}

/// Where a document stands that a write changes.
enum Target {
    /// It is to be created.
    New,
    /// It has this number.
    Existing(i64),
}

impl<'s> SqliteGroup<'s> {
    pub(crate) fn begin(
        shared: &'s Shared,
        connection: MutexGuard<'s, Connection>,
    ) -> Result<Self, StoreError> {
        connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut statement| statement.execute([]))
            .map_err(store_error("beginning a group"))?;
        let mut view = GroupView {
            shared,
            connection,
            state: State::EMPTY,
            stored_state: State::EMPTY,
            added: HashMap::new(),
            forgot: false,
            finished: false,
        };
        view.stored_state = State::read(&view.connection)?;
        view.state = view.stored_state;
        Ok(Self {
            view: Reading(view),
            failed: false,
        })
    }

    /// Does something with the transaction, after which the group is unusable if it went wrong.
    fn attempt<T>(
        &mut self,
        action: impl FnOnce(&mut GroupView<'s>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.failed {
            return Err(driver_error("writing", DriverError::GroupFailed));
        }
        let view = &mut self.view.0;
        action(view).map_err(|error| {
            self.failed = true;
            view.shared.poison.note(error)
        })
    }
}

impl Group for SqliteGroup<'_> {
    fn snapshot(&self) -> &dyn Snapshot {
        &self.view
    }

    fn last_version(&self) -> Version {
        Version::from_micros(self.view.0.state.last_version)
    }

    fn apply(&mut self, commit: &Commit, version: Version) -> Result<CommitOutcome, StoreError> {
        self.attempt(|view| view.apply(commit, version))
    }

    fn create_index(&mut self, definition: &IndexDefinition) -> Result<IndexId, StoreError> {
        self.attempt(|view| view.create_index(definition))
    }

    fn add_entries(&mut self, index: IndexId, entries: &[(Vec<u8>, DocumentPath)]) -> Result<(), StoreError> {
        self.attempt(|view| view.add_entries(index, entries))
    }

    fn finish_index(&mut self, index: IndexId) -> Result<(), StoreError> {
        self.attempt(|view| {
            let changed = view.execute(
                "finishing an index",
                "UPDATE indexes SET state = 'ready' WHERE id = ?1",
                [index.0],
            )?;
            expect_index(index, changed)
        })
    }

    fn drop_index(&mut self, index: IndexId) -> Result<(), StoreError> {
        self.attempt(|view| {
            let doing = "dropping an index";
            let changed = view.execute(doing, "DELETE FROM indexes WHERE id = ?1", [index.0])?;
            expect_index(index, changed)?;
            view.connection
                .execute_batch(&format!("DROP TABLE index_{}", index.0))
                .map_err(store_error(doing))
        })
    }

    fn trim_log(&mut self, retention: LogRetention) -> Result<TrimOutcome, StoreError> {
        self.attempt(|view| {
            let trimmed = trim::trim(&view.connection, &mut view.state, retention)?;
            if !trimmed.forgotten.is_empty() {
                view.forgot = true;
                view.added.retain(|_, number| !trimmed.forgotten.contains(number));
            }
            Ok(trimmed.outcome)
        })
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.attempt(GroupView::finish)
    }
}

impl GroupView<'_> {
    fn apply(&mut self, commit: &Commit, version: Version) -> Result<CommitOutcome, StoreError> {
        self.check_size(commit, version)?;
        for read in &commit.reads {
            if self.current_version(&read.path)? != read.version {
                return Ok(CommitOutcome::Conflict(read.path.clone()));
            }
        }
        for (place, query) in commit.queries.iter().enumerate() {
            if self.is_touched(query)? {
                return Ok(CommitOutcome::QueryConflict(place));
            }
        }
        if let [write] = commit.writes.as_slice() {
            return self.apply_one(write, version);
        }
        let mut targets = Vec::with_capacity(commit.writes.len());
        for write in &commit.writes {
            match self.find_target(write, true)? {
                Some(target) => targets.push((write, target)),
                None => return Ok(CommitOutcome::Conflict(write.path.clone())),
            }
        }
        // The log lists the changes of a commit by path.
        targets.sort_unstable_by(|(left, _), (right, _)| left.path.cmp(&right.path));
        if let Some([(twice, _), _]) = targets
            .array_windows()
            .find(|[(left, _), (right, _)]| left.path == right.path)
        {
            let path = twice.path.to_string();
            return Err(driver_error(
                "writing a commit",
                DriverError::WrittenTwice { path },
            ));
        }
        for (position, (write, target)) in targets.into_iter().enumerate() {
            if !self.write(write, target, version, position)? {
                let path = &write.path;
                return Err(StoreError::Corrupt {
                    detail: format!(
                        "`{path}` was not found and yet is there: an index of the database is damaged"
                    ),
                });
            }
        }
        self.state.last_version = version.as_micros();
        Ok(CommitOutcome::Applied)
    }

    fn apply_one(&mut self, write: &DocumentWrite, version: Version) -> Result<CommitOutcome, StoreError> {
        let conflict = || Ok(CommitOutcome::Conflict(write.path.clone()));
        let Some(target) = self.find_target(write, false)? else {
            return conflict();
        };
        if !self.write(write, target, version, 0)? {
            return conflict();
        }
        self.state.last_version = version.as_micros();
        Ok(CommitOutcome::Applied)
    }

    fn check_size(&self, commit: &Commit, version: Version) -> Result<(), StoreError> {
        let (version, last) = (version.as_micros(), self.state.last_version);
        let changes = commit.writes.len();
        let error = if version <= last {
            DriverError::VersionOrder { version, last }
        } else if changes > COMMIT_CHANGES_MAX {
            let max = COMMIT_CHANGES_MAX;
            DriverError::CommitSize { changes, max }
        } else {
            return Ok(());
        };
        Err(driver_error("writing a commit", error))
    }

    /// What a write changes, or `None` if that is not as the write says. That nothing stands where a document is to be
    /// created is looked at only if `check_absence`, else left to [`GroupView::write`].
    fn find_target(&self, write: &DocumentWrite, check_absence: bool) -> Result<Option<Target>, StoreError> {
        let expected = write.before.as_ref().map(|before| before.version);
        if expected.is_none() && write.after.is_some() && !check_absence {
            return Ok(Some(Target::New));
        }
        Ok(match (self.find(&write.path)?, expected) {
            (None, None) => Some(Target::New),
            (Some((number, version)), Some(expected)) if version == expected => {
                Some(Target::Existing(number))
            }
            _ => None,
        })
    }

    /// Writes a document, its log row and its entries; `false`, and nothing is changed, if it was to be created and is
    /// there already.
    fn write(
        &mut self,
        write: &DocumentWrite,
        target: Target,
        version: Version,
        position: usize,
    ) -> Result<bool, StoreError> {
        let (number, collection, previous) = match (target, &write.after) {
            (Target::New, None) => {
                let path = write.path.to_string();
                return Err(driver_error("writing a commit", DriverError::NoDocument { path }));
            }
            (Target::New, Some(data)) => {
                let collection = self.collection_to_write(write.path.collection_str())?;
                let Some(number) = self.insert(collection, write.path.id(), version, data)? else {
                    return Ok(false);
                };
                (
                    number,
                    collection,
                    self.take_tombstone(collection, write.path.id())?,
                )
            }
            (Target::Existing(number), after) => {
                let collection = self.collection_to_write(write.path.collection_str())?;
                match after {
                    Some(data) => self.update(number, version, data)?,
                    None => self.delete(number, collection, write.path.id(), version)?,
                }
                let before = write.before.as_ref().map(|before| before.version);
                (number, collection, before)
            }
        };
        self.append_log(write, collection, previous, version, position)?;
        for entry in &write.entries {
            self.change_entry(entry, number)?;
        }
        Ok(true)
    }

    fn insert(
        &self,
        collection: i64,
        id: &str,
        version: Version,
        data: &str,
    ) -> Result<Option<i64>, StoreError> {
        let version = version.as_micros();
        let inserted = self.execute(
            "creating a document",
            "INSERT INTO documents (collection, id, version, created, data) VALUES (?1, ?2, ?3, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![collection, id, version, data],
        )?;
        Ok((inserted > 0).then(|| self.connection.last_insert_rowid()))
    }

    fn update(&self, number: i64, version: Version, data: &str) -> Result<(), StoreError> {
        self.execute(
            "changing a document",
            "UPDATE documents SET version = ?2, data = ?3 WHERE number = ?1",
            params![number, version.as_micros(), data],
        )
        .map(|_| ())
    }

    fn delete(&self, number: i64, collection: i64, id: &str, version: Version) -> Result<(), StoreError> {
        let doing = "deleting a document";
        self.execute(doing, "DELETE FROM documents WHERE number = ?1", [number])?;
        self.execute(
            doing,
            "INSERT INTO tombstones (collection, id, version) VALUES (?1, ?2, ?3)",
            params![collection, id, version.as_micros()],
        )
        .map(|_| ())
    }

    /// The version that deleted the document which is created again, for the chain of its history.
    fn take_tombstone(&self, collection: i64, id: &str) -> Result<Option<Version>, StoreError> {
        let found = history::find_tombstone(&self.connection, collection, id)?;
        if found.is_some() {
            self.execute(
                "creating a document again",
                "DELETE FROM tombstones WHERE collection = ?1 AND id = ?2",
                params![collection, id],
            )?;
        }
        Ok(found)
    }

    fn append_log(
        &mut self,
        write: &DocumentWrite,
        collection: i64,
        previous: Option<Version>,
        version: Version,
        position: usize,
    ) -> Result<(), StoreError> {
        let before = write.before.as_ref();
        let micros = version.as_micros();
        let key = history::key_of(&self.connection, micros, position)?;
        self.execute(
            "writing the change log",
            "INSERT INTO log (key, version, collection, id, deleted, previous, before_created, before_data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                key,
                micros,
                collection,
                write.path.id(),
                write.after.is_none(),
                previous.map(Version::as_micros),
                before.map(|before| before.created.as_micros()),
                before.map(|before| &*before.data),
            ],
        )?;
        self.state.log_changes += 1;
        self.state.log_bytes += before.map_or(0, |before| before.data.len() as i64);
        Ok(())
    }

    fn change_entry(&self, entry: &EntryChange, number: i64) -> Result<(), StoreError> {
        if entry.added {
            return self.add_entry(entry.index, &entry.key, number);
        }
        // An entry that is not there is fine: the index may still be under construction.
        self.execute(
            "removing an index entry",
            &format!("DELETE FROM index_{} WHERE key = ?1", entry.index.0),
            [Key(&entry.key)],
        )
        .map(|_| ())
    }

    fn add_entry(&self, index: IndexId, key: &[u8], number: i64) -> Result<(), StoreError> {
        self.execute(
            "adding an index entry",
            &format!(
                "INSERT INTO index_{} (key, document) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET document = excluded.document",
                index.0
            ),
            params![Key(key), number],
        )
        .map(|_| ())
    }

    fn create_index(&mut self, definition: &IndexDefinition) -> Result<IndexId, StoreError> {
        let doing = "creating an index";
        let text = serde_json::to_string(definition).map_err(|error| driver_error(doing, error))?;
        let existing: u32 = self
            .connection
            .query_row("SELECT count(*) FROM indexes", [], |row| row.get(0))
            .map_err(store_error(doing))?;
        if existing >= INDEXES_MAX {
            let max = INDEXES_MAX;
            return Err(driver_error(doing, DriverError::TooManyIndexes { max }));
        }
        self.execute(
            doing,
            "INSERT INTO indexes (definition, state) VALUES (?1, 'building')",
            [text],
        )?;
        let id =
            u32::try_from(self.connection.last_insert_rowid()).map_err(|error| driver_error(doing, error))?;
        self.connection
            .execute_batch(&format!(
                "CREATE TABLE index_{id} (key BLOB PRIMARY KEY, document INTEGER NOT NULL) STRICT, WITHOUT ROWID"
            ))
            .map_err(store_error(doing))?;
        Ok(IndexId(id))
    }

    fn add_entries(&mut self, index: IndexId, entries: &[(Vec<u8>, DocumentPath)]) -> Result<(), StoreError> {
        for (key, path) in entries {
            let Some((number, _)) = self.find(path)? else {
                let path = path.to_string();
                return Err(driver_error(
                    "adding an index entry",
                    DriverError::NoDocument { path },
                ));
            };
            self.add_entry(index, key, number)?;
        }
        Ok(())
    }

    /// The number and version of a document.
    fn find(&self, path: &DocumentPath) -> Result<Option<(i64, Version)>, StoreError> {
        let Some(collection) = self.collection_number(path.collection_str())? else {
            return Ok(None);
        };
        self.connection
            .prepare_cached("SELECT number, version FROM documents WHERE collection = ?1 AND id = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![collection, path.id()], |row| {
                        Ok((row.get(0)?, Version::from_micros(row.get(1)?)))
                    })
                    .optional()
            })
            .map_err(store_error("checking a document"))
    }

    fn current_version(&self, path: &DocumentPath) -> Result<Option<Version>, StoreError> {
        Ok(self.find(path)?.map(|(_, version)| version))
    }

    /// Whether a change since its version may have touched a query.
    fn is_touched(&self, query: &QueryCheck) -> Result<bool, StoreError> {
        if query.version.as_micros() < self.state.log_start {
            return Ok(true);
        }
        if query.version.as_micros() >= self.state.last_version {
            return Ok(false);
        }
        let since = query.version.as_micros();
        let from = history::first_key(since.saturating_add(1));
        match &query.source {
            Source::Collection(path) => match self.collection_number(path.as_str())? {
                None => Ok(false),
                Some(number) => self.is_any_touched(
                    query,
                    "SELECT c.path, l.id, l.before_data, d.data
                     FROM log AS l CROSS JOIN collections AS c ON c.number = l.collection
                     LEFT JOIN documents AS d ON d.collection = l.collection AND d.id = l.id
                     WHERE l.key >= ?1 AND l.version > ?2 AND l.collection = ?3",
                    params![from, since, number],
                ),
            },
            Source::Group(name) => self.is_any_touched(
                query,
                "SELECT c.path, l.id, l.before_data, d.data
                 FROM log AS l CROSS JOIN collections AS c ON c.number = l.collection
                 LEFT JOIN documents AS d ON d.collection = l.collection AND d.id = l.id
                 WHERE l.key >= ?1 AND l.version > ?2 AND c.name = ?3",
                params![from, since, name],
            ),
        }
    }

    fn is_any_touched(&self, query: &QueryCheck, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        use std::ops::ControlFlow::{Break, Continue};

        let doing = "checking a query";
        let mut seen = HashSet::new();
        let mut touched = false;
        each_row(&self.connection, doing, sql, params, |row| {
            let path: DocumentPath = format!("{}/{}", text(row, 0)?, text(row, 1)?)
                .parse()
                .map_err(not_a_path)?;
            let matches = |column| match row.get_ref(column).map_err(store_error(doing))? {
                ValueRef::Null => Ok(false),
                _ => Ok((query.matches)(&path, text(row, column)?)),
            };
            touched = matches(2)? || (!seen.contains(&path) && matches(3)?);
            seen.insert(path);
            Ok(if touched { Break(()) } else { Continue(()) })
        })?;
        Ok(touched)
    }

    /// The number of a collection that is written to: a new one if it has none.
    fn collection_to_write(&mut self, path: &str) -> Result<i64, StoreError> {
        if let Some(number) = self.collection_number(path)? {
            return Ok(number);
        }
        let number = collections::insert(&self.connection, path)?;
        self.added.insert(Arc::from(path), number);
        Ok(number)
    }

    fn execute(&self, doing: &'static str, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(store_error(doing))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        if self.state != self.stored_state {
            let state = self.state;
            self.execute(
                "finishing a group",
                "UPDATE state SET last_version = ?1, log_start = ?2, log_changes = ?3, log_bytes = ?4",
                params![
                    state.last_version,
                    state.log_start,
                    state.log_changes,
                    state.log_bytes
                ],
            )?;
        }
        let cache = &self.shared.collections;
        if self.forgot {
            cache.begin_forgetting();
        }
        let shared = self.shared;
        let committed = shared
            .pool
            .committing(|| self.execute("finishing a group", "COMMIT", []));
        if self.forgot {
            cache.end_forgetting();
        }
        committed?;
        self.finished = true;
        let epoch = cache.epoch();
        for (path, number) in &self.added {
            cache.remember(epoch, path, *number);
        }
        self.shared.checkpoints.request_if_due();
        Ok(())
    }
}

impl View for GroupView<'_> {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn state(&self) -> State {
        self.state
    }

    fn collection_number(&self, path: &str) -> Result<Option<i64>, StoreError> {
        if let Some(&number) = self.added.get(path) {
            return Ok(Some(number));
        }
        if self.forgot {
            return collections::find_number(&self.connection, path);
        }
        // Only groups change the numbers, and this is the only group.
        let cache = &self.shared.collections;
        let epoch = cache.epoch();
        if let Some(number) = cache.number(epoch, path) {
            return Ok(Some(number));
        }
        let found = collections::find_number(&self.connection, path)?;
        if let Some(number) = found {
            cache.remember(epoch, &Arc::from(path), number);
        }
        Ok(found)
    }

    fn collection_path(&self, number: i64) -> Result<Arc<str>, StoreError> {
        // A number that only this group knows is not among those remembered.
        match self.shared.collections.path(number) {
            Some(path) => Ok(path),
            None => collections::find_path(&self.connection, number),
        }
    }
}

impl Drop for GroupView<'_> {
    fn drop(&mut self) {
        // Some errors have rolled the transaction back already. If this fails, the next group reports it.
        if !self.finished && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// A key, bound without a copy of ours.
struct Key<'a>(&'a [u8]);

impl ToSql for Key<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Blob(self.0)))
    }
}

fn expect_index(index: IndexId, changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        let id = index.0;
        Err(driver_error("changing an index", DriverError::NoIndex { id }))
    }
}
