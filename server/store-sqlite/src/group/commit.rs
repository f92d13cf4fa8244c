//! Checking and writing one commit.
//!
//! A commit is checked completely before anything of it is written, so that a conflict leaves the group as it was
//! without a savepoint. Only the creation of a single document checks by writing: it changes nothing if it conflicts.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Source, Version};
use andiron_store::{Commit, CommitOutcome, DocumentWrite, EntryChange, IndexId, QueryCheck, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Params, params};

use super::GroupView;
use crate::collections;
use crate::error::{DriverError, driver_error, store_error};
use crate::history::{self, COMMIT_CHANGES_MAX};
use crate::view::{View, each_row, not_a_path, text};

/// Where a document stands that a write changes.
enum Target {
    /// It is to be created.
    New,
    /// It has this number.
    Existing(i64),
}

impl GroupView<'_> {
    pub(super) fn apply(&mut self, commit: &Commit, version: Version) -> Result<CommitOutcome, StoreError> {
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
            [&entry.key],
        )
        .map(|_| ())
    }

    pub(super) fn add_entry(&self, index: IndexId, key: &[u8], number: i64) -> Result<(), StoreError> {
        self.execute(
            "adding an index entry",
            &format!(
                "INSERT INTO index_{} (key, document) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET document = excluded.document",
                index.0
            ),
            params![key, number],
        )
        .map(|_| ())
    }

    /// The number and version of a document.
    pub(super) fn find(&self, path: &DocumentPath) -> Result<Option<(i64, Version)>, StoreError> {
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
            Ok(if touched {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
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
}
