//! A group: one write transaction on the one connection that writes.

mod commit;

use std::collections::HashMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Version};
use andiron_store::{
    Commit, CommitOutcome, Group, IndexDefinition, IndexId, LogRetention, Snapshot, StoreError, TrimOutcome,
};
use parking_lot::MutexGuard;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use crate::collections;
use crate::error::{DriverError, driver_error, store_error};
use crate::store::Shared;
use crate::trim;
use crate::view::{Reading, State, View};

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
            // Removing a table with all its pages would take as long as there are pages.
            let id = index.0;
            view.connection
                .execute_batch(&format!("ALTER TABLE index_{id} RENAME TO dropped_{id}"))
                .map_err(store_error(doing))
        })
    }

    fn sweep(&mut self, entries_max: u64) -> Result<bool, StoreError> {
        self.attempt(|view| view.sweep(entries_max))
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

    fn sweep(&self, entries_max: u64) -> Result<bool, StoreError> {
        let doing = "removing what an index has left behind";
        let found: Option<String> = self
            .connection
            .query_row(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'dropped_[0-9]*' LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(store_error(doing))?;
        let Some(table) = found else {
            return Ok(false);
        };
        let removed = self
            .connection
            .execute(
                &format!("DELETE FROM {table} WHERE key IN (SELECT key FROM {table} LIMIT ?1)"),
                [i64::try_from(entries_max).unwrap_or(i64::MAX)],
            )
            .map_err(store_error(doing))?;
        if (removed as u64) < entries_max {
            self.connection
                .execute_batch(&format!("DROP TABLE {table}"))
                .map_err(store_error(doing))?;
        }
        // There may be more in it, or another one.
        Ok(true)
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

fn expect_index(index: IndexId, changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        let id = index.0;
        Err(driver_error("changing an index", DriverError::NoIndex { id }))
    }
}
