//! Examines whether what the store holds is consistent: indexes with documents, the change log with documents.

use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

use andiron_protocol::{CollectionPath, Version, data_from_json};
use andiron_store::{
    Change, DocumentRow, IndexState, LogInfo, ScanDirection, Snapshot, StoreError, StoredIndex,
};

use crate::query::path_of;
use crate::{Engine, EngineError};

/// Problems reported; an examination stops when there are so many.
const PROBLEMS_MAX: usize = 100;
/// Collections looked up at once.
const COLLECTIONS_AT_ONCE: usize = 256;

impl Engine {
    /// Examines that every index equals a scan, that the change log equals the documents, and that versions never step
    /// back: a sentence for each problem, at most 100. What only the driver can examine is left to the store's own check.
    ///
    /// `progress` is told how many documents and changes of how many are done, and may stop the examination. Reads one
    /// snapshot, so commits may go on. Holds the paths of all documents in the change log in memory.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Vec<String>, EngineError> {
        let snapshot = self.shared.store.snapshot()?;
        let snapshot = snapshot.as_ref();
        let mut verification = Verification {
            version: snapshot.version()?,
            log: snapshot.log()?,
            indexes: snapshot.indexes()?.into_iter().map(|index| (index, 0)).collect(),
            changed: HashMap::new(),
            problems: Vec::new(),
            done: 0,
            total: 0,
            progress,
        };
        verification.count(snapshot)?;
        if verification.changes(snapshot)?.is_continue() && verification.documents(snapshot)?.is_continue() {
            verification.missing_documents();
            verification.index_sizes(snapshot)?;
        }
        Ok(verification.problems)
    }
}

struct Verification<'p> {
    version: Version,
    log: LogInfo,
    /// Each index with the number of entries that the documents so far have in it.
    indexes: Vec<(StoredIndex, u64)>,
    /// The last change of each document of the log.
    changed: HashMap<Box<str>, LastChange>,
    problems: Vec<String>,
    done: u64,
    total: u64,
    progress: &'p mut dyn FnMut(u64, u64) -> ControlFlow<()>,
}

#[derive(Clone, Copy)]
struct LastChange {
    version: Version,
    /// When the document was created; `None` if this change deleted it.
    created: Option<Version>,
}

impl Verification<'_> {
    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn advance(&mut self) -> ControlFlow<()> {
        self.done += 1;
        if self.problems.len() >= PROBLEMS_MAX {
            self.problems.truncate(PROBLEMS_MAX);
            return ControlFlow::Break(());
        }
        (self.progress)(self.done, self.total)
    }

    fn count(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        self.total = self.log.changes;
        each_collection(snapshot, &mut |collection| {
            self.total += snapshot.count_collection(collection, ALL_IDS, u64::MAX)?;
            Ok(ControlFlow::Continue(()))
        })
        .map(|_| ())
    }

    fn changes(&mut self, snapshot: &dyn Snapshot) -> Result<ControlFlow<()>, StoreError> {
        let mut flow = ControlFlow::Continue(());
        let mut newest = self.log.start;
        let mut changes = 0;
        snapshot.changes(self.log.start, &mut |change| {
            changes += 1;
            if change.version < newest {
                self.problem(format!(
                    "the change log steps back from version {newest} to {}",
                    change.version
                ));
            }
            newest = change.version;
            self.change(&change);
            flow = self.advance();
            flow
        })?;
        if flow.is_continue() {
            if newest > self.version {
                self.problem(format!(
                    "the change log reaches version {newest}, and the newest commit is {}",
                    self.version
                ));
            }
            if changes != self.log.changes {
                self.problem(format!(
                    "the change log has {changes} changes, and it says that it has {}",
                    self.log.changes
                ));
            }
        }
        Ok(flow)
    }

    fn change(&mut self, change: &Change<'_>) {
        let path = format!("{}/{}", change.collection, change.id);
        let previous = self.changed.get(path.as_str()).copied();
        let before = change.before.map(|before| (before.version, before.created));
        let expected = previous.map(|previous| previous.created.map(|created| (previous.version, created)));
        let version = change.version;
        match (expected, before) {
            (Some(expected), before) if expected != before => {
                self.problem(format!(
                    "the change of `{path}` at version {version} does not follow from the change before it"
                ));
            }
            // What was before the log begins is not known, except that it was before.
            (None, Some((before, _))) if before > self.log.start || self.log.start == Version::ZERO => {
                self.problem(format!(
                    "the change log knows nothing of the version {before} of `{path}` that the change at version {version} replaced"
                ));
            }
            (_, None) if change.deleted => {
                self.problem(format!("version {version} deleted `{path}`, which was not there"));
            }
            _ => {}
        }
        if let Some(before) = &change.before
            && data_from_json(before.data.as_bytes()).is_err()
        {
            self.problem(format!(
                "the data of `{path}` before version {version} cannot be read"
            ));
        }
        let created = before.map_or(version, |(_, created)| created);
        let last = LastChange {
            version,
            created: (!change.deleted).then_some(created),
        };
        self.changed.insert(path.into_boxed_str(), last);
    }

    fn documents(&mut self, snapshot: &dyn Snapshot) -> Result<ControlFlow<()>, StoreError> {
        each_collection(snapshot, &mut |collection| {
            let mut flow = ControlFlow::Continue(());
            let mut failure = None;
            snapshot.scan_collection(collection, ALL_IDS, ScanDirection::Forward, &mut |row| {
                flow = match self.document(collection, &row, snapshot) {
                    Ok(()) => self.advance(),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                };
                flow
            })?;
            failure.map_or(Ok(flow), Err)
        })
    }

    fn document(
        &mut self,
        collection: &CollectionPath,
        row: &DocumentRow<'_>,
        snapshot: &dyn Snapshot,
    ) -> Result<(), StoreError> {
        let path = path_of(row)?;
        if row.version > self.version || row.created > row.version {
            self.problem(format!(
                "`{path}` has the version {}, which no commit can have given it",
                row.version
            ));
        }
        match self.changed.remove(path.as_str()) {
            Some(last) if last.version == row.version && last.created == Some(row.created) => {}
            Some(last) => self.problem(format!(
                "`{path}` has version {}, and the change log says that {} changed it last",
                row.version, last.version
            )),
            None if row.version > self.log.start => self.problem(format!(
                "`{path}` has version {}, of which the change log knows nothing",
                row.version
            )),
            None => {}
        }
        let Ok(data) = data_from_json(row.data.as_bytes()) else {
            self.problem(format!("the data of `{path}` cannot be read"));
            return Ok(());
        };
        let mut problems = Vec::new();
        for (index, entries) in &mut self.indexes {
            if index.state != IndexState::Ready || index.definition.collection != collection.name() {
                continue;
            }
            for key in index.definition.entry_keys(&path, &data) {
                *entries += 1;
                let range = (Bound::Included(key.as_slice()), Bound::Included(key.as_slice()));
                let mut is_found = false;
                snapshot.scan_index(index.id, range, ScanDirection::Forward, &mut |_, found| {
                    is_found = found.collection == row.collection && found.id == row.id;
                    ControlFlow::Break(())
                })?;
                if !is_found {
                    problems.push(format!("index {} has no entry for `{path}`", index.id.0));
                    break;
                }
            }
        }
        self.problems.extend(problems);
        Ok(())
    }

    fn missing_documents(&mut self) {
        let mut missing: Vec<_> = self
            .changed
            .iter()
            .filter(|(_, last)| last.created.is_some())
            .map(|(path, last)| {
                format!(
                    "the change log says that version {} wrote `{path}`, which is not there",
                    last.version
                )
            })
            .collect();
        missing.sort();
        missing.truncate(PROBLEMS_MAX.saturating_sub(self.problems.len()));
        self.problems.extend(missing);
    }

    fn index_sizes(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        for (index, expected) in &self.indexes {
            if index.state != IndexState::Ready {
                continue;
            }
            let found = snapshot.count_index(index.id, (Bound::Unbounded, Bound::Unbounded), u64::MAX)?;
            if found != *expected && self.problems.len() < PROBLEMS_MAX {
                self.problems.push(format!(
                    "index {} has {found} entries, and the documents have {expected} in it",
                    index.id.0
                ));
            }
        }
        Ok(())
    }
}

const ALL_IDS: andiron_store::IdRange<'static> = (Bound::Unbounded, Bound::Unbounded);

fn each_collection(
    snapshot: &dyn Snapshot,
    visit: &mut dyn FnMut(&CollectionPath) -> Result<ControlFlow<()>, StoreError>,
) -> Result<ControlFlow<()>, StoreError> {
    let mut after: Option<CollectionPath> = None;
    loop {
        let collections = snapshot.collections(after.as_ref(), COLLECTIONS_AT_ONCE)?;
        for collection in &collections {
            if visit(collection)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        match collections.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(ControlFlow::Continue(())),
        }
    }
}
