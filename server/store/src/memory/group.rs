//! Writing: a copy of the state that takes its place when the group is finished.

use std::ops::Bound;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Version};
use parking_lot::{MutexGuard, RwLock};

use super::failure;
use super::state::{Entries, Index, LogRow, State};
use super::view::{View, within};
use crate::{
    COMMIT_CHANGES_MAX, Commit, CommitOutcome, DocumentWrite, Group, IndexDefinition, IndexId, IndexState,
    LogRetention, QueryCheck, Snapshot, StoreError, StoredDocument, TrimOutcome,
};

pub(super) struct MemoryGroup<'a> {
    current: &'a RwLock<State>,
    _writing: MutexGuard<'a, ()>,
    view: View,
}

impl<'a> MemoryGroup<'a> {
    pub(super) fn new(current: &'a RwLock<State>, writing: MutexGuard<'a, ()>, state: State) -> Self {
        Self {
            current,
            _writing: writing,
            view: View(state),
        }
    }

    fn state(&mut self) -> &mut State {
        &mut self.view.0
    }

    fn is_at(&self, path: &DocumentPath, version: Option<Version>) -> bool {
        self.view.0.document(path).map(|document| document.version) == version
    }

    fn conflict(&self, commit: &Commit) -> Option<CommitOutcome> {
        let reads = commit.reads.iter().map(|read| (&read.path, read.version));
        let writes = commit
            .writes
            .iter()
            .map(|write| (&write.path, write.before.as_ref().map(|before| before.version)));
        for (path, version) in reads.chain(writes) {
            if !self.is_at(path, version) {
                return Some(CommitOutcome::Conflict(path.clone()));
            }
        }
        let touched = commit.queries.iter().position(|check| self.is_touched(check));
        touched.map(CommitOutcome::QueryConflict)
    }

    /// Whether a change since matters to the query, or may have been one that is no longer known.
    fn is_touched(&self, check: &QueryCheck) -> bool {
        let state = &self.view.0;
        if check.version < state.log_start {
            return true;
        }
        let since = within(&state.log, (Bound::Excluded(&check.version), Bound::Unbounded));
        since.flat_map(|(_, commit)| commit.iter()).any(|(path, row)| {
            let matches = |document: Option<&Arc<StoredDocument>>| {
                document.is_some_and(|document| (check.matches)(path, &document.data))
            };
            check.source.contains(path) && (matches(row.before.as_ref()) || matches(state.document(path)))
        })
    }

    fn write(&mut self, write: &DocumentWrite, version: Version) -> Result<(), StoreError> {
        let state = self.state();
        let before = state.document(&write.path).cloned();
        debug_assert_eq!(
            before.as_deref(),
            write.before.as_ref(),
            "one version, two documents"
        );
        match &write.after {
            Some(data) => state.put_document(StoredDocument {
                path: write.path.clone(),
                version,
                created: before.as_ref().map_or(version, |before| before.created),
                data: Arc::clone(data),
            }),
            None => state.remove_document(&write.path),
        }
        let deleted = write.after.is_none();
        state.append_log(&write.path, version, LogRow { before, deleted });
        for change in &write.entries {
            self.change_entries(change.index, |entries| {
                if change.added {
                    entries.insert_mut(change.key.clone(), write.path.clone());
                } else {
                    entries.remove_mut(&change.key);
                }
            })?;
        }
        Ok(())
    }

    fn change_index(&mut self, index: IndexId, change: impl FnOnce(&mut Index)) -> Result<(), StoreError> {
        let state = self.state();
        let mut changed = state
            .indexes
            .get(&index)
            .cloned()
            .ok_or_else(|| failure("changing an index", format!("there is no index {}", index.0)))?;
        change(&mut changed);
        state.indexes.insert_mut(index, changed);
        Ok(())
    }

    fn change_entries(
        &mut self,
        index: IndexId,
        change: impl FnOnce(&mut Entries),
    ) -> Result<(), StoreError> {
        self.change_index(index, |index| change(&mut index.entries))
    }
}

impl Group for MemoryGroup<'_> {
    fn snapshot(&self) -> &dyn Snapshot {
        &self.view
    }

    fn last_version(&self) -> Version {
        self.view.0.version
    }

    fn apply(&mut self, commit: &Commit, version: Version) -> Result<CommitOutcome, StoreError> {
        let refused = |problem| Err(failure("applying a commit", problem));
        if version <= self.last_version() {
            return refused(format!(
                "version {version} does not follow {}",
                self.last_version()
            ));
        }
        if commit.writes.len() > COMMIT_CHANGES_MAX {
            return refused(format!("it changes more than {COMMIT_CHANGES_MAX} documents"));
        }
        if let Some(conflict) = self.conflict(commit) {
            return Ok(conflict);
        }
        for write in &commit.writes {
            self.write(write, version)?;
        }
        self.state().version = version;
        Ok(CommitOutcome::Applied)
    }

    fn create_index(&mut self, definition: &IndexDefinition) -> Result<IndexId, StoreError> {
        let state = self.state();
        state.last_index += 1;
        let id = IndexId(state.last_index);
        let index = Index {
            definition: Arc::new(definition.clone()),
            state: IndexState::Building,
            entries: Entries::default(),
        };
        state.indexes.insert_mut(id, index);
        Ok(id)
    }

    fn add_entries(&mut self, index: IndexId, entries: &[(Vec<u8>, DocumentPath)]) -> Result<(), StoreError> {
        self.change_entries(index, |kept| {
            for (key, path) in entries {
                kept.insert_mut(key.clone(), path.clone());
            }
        })
    }

    fn finish_index(&mut self, index: IndexId) -> Result<(), StoreError> {
        self.change_index(index, |index| index.state = IndexState::Ready)
    }

    fn drop_index(&mut self, index: IndexId) -> Result<(), StoreError> {
        if self.state().indexes.remove_mut(&index) {
            Ok(())
        } else {
            Err(failure(
                "dropping an index",
                format!("there is no index {}", index.0),
            ))
        }
    }

    fn sweep(&mut self, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn trim_log(&mut self, retention: LogRetention) -> Result<TrimOutcome, StoreError> {
        let state = self.state();
        let mut removed = 0;
        loop {
            let oldest = state
                .log
                .first()
                .map(|(version, commit)| (*version, commit.size() as u64));
            let due = |version| version <= retention.after || state.log_bytes > retention.bytes_max;
            let Some((version, changes)) = oldest.filter(|(version, _)| due(*version)) else {
                return Ok(TrimOutcome { removed, more: false });
            };
            if removed > 0 && removed + changes > retention.step_changes_max {
                return Ok(TrimOutcome { removed, more: true });
            }
            removed += state.trim_commit(version);
        }
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { current, view, .. } = *self;
        *current.write() = view.0;
        Ok(())
    }
}
