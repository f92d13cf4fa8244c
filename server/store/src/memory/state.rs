//! Everything that the store holds at one version.
//!
//! Invariants: no collection and no history is empty; every row of the log is in the history of its document; every
//! entry of an index is one of a document that is there.

use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, Version};
use rpds::RedBlackTreeMapSync;

use crate::contract::CHECK_PROBLEMS_MAX;
use crate::{IndexDefinition, IndexId, IndexState, StoredDocument};

pub(super) type Documents = RedBlackTreeMapSync<Arc<str>, Arc<StoredDocument>>;
pub(super) type Entries = RedBlackTreeMapSync<Vec<u8>, DocumentPath>;

/// One document's change by one commit.
#[derive(Clone)]
pub(super) struct LogRow {
    pub(super) before: Option<Arc<StoredDocument>>,
    pub(super) deleted: bool,
}

#[derive(Clone)]
pub(super) struct Index {
    pub(super) definition: Arc<IndexDefinition>,
    pub(super) state: IndexState,
    pub(super) entries: Entries,
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) version: Version,
    /// Documents by id, for each collection that has any.
    pub(super) collections: RedBlackTreeMapSync<CollectionPath, Documents>,
    pub(super) indexes: RedBlackTreeMapSync<IndexId, Index>,
    pub(super) last_index: u32,
    /// The rows of each commit that wrote anything, by path.
    pub(super) log: RedBlackTreeMapSync<Version, RedBlackTreeMapSync<DocumentPath, LogRow>>,
    /// The same rows for each document.
    pub(super) history: RedBlackTreeMapSync<DocumentPath, RedBlackTreeMapSync<Version, LogRow>>,
    pub(super) log_start: Version,
    pub(super) log_changes: u64,
    pub(super) log_bytes: u64,
}

impl LogRow {
    /// What the row counts in the log's bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.data.len() as u64)
    }
}

impl State {
    pub(super) fn document(&self, path: &DocumentPath) -> Option<&Arc<StoredDocument>> {
        self.collections.get(&path.collection())?.get(path.id())
    }

    pub(super) fn put_document(&mut self, document: StoredDocument) {
        let collection = document.path.collection();
        let mut documents = self.collections.get(&collection).cloned().unwrap_or_default();
        documents.insert_mut(Arc::from(document.path.id()), Arc::new(document));
        self.collections.insert_mut(collection, documents);
    }

    pub(super) fn remove_document(&mut self, path: &DocumentPath) {
        let collection = path.collection();
        let Some(documents) = self.collections.get(&collection) else {
            return;
        };
        let documents = documents.remove(path.id());
        if documents.is_empty() {
            self.collections.remove_mut(&collection);
        } else {
            self.collections.insert_mut(collection, documents);
        }
    }

    pub(super) fn append_log(&mut self, path: &DocumentPath, version: Version, row: LogRow) {
        self.log_changes += 1;
        self.log_bytes += row.bytes();
        let mut commit = self.log.get(&version).cloned().unwrap_or_default();
        commit.insert_mut(path.clone(), row.clone());
        self.log.insert_mut(version, commit);
        let mut history = self.history.get(path).cloned().unwrap_or_default();
        history.insert_mut(version, row);
        self.history.insert_mut(path.clone(), history);
    }

    /// Removes the rows of the oldest commit in the log and returns how many there were.
    pub(super) fn trim_commit(&mut self, version: Version) -> u64 {
        let Some(commit) = self.log.get(&version).cloned() else {
            return 0;
        };
        self.log.remove_mut(&version);
        for (path, row) in commit.iter() {
            self.log_changes -= 1;
            self.log_bytes -= row.bytes();
            if let Some(history) = self.history.get(path) {
                let history = history.remove(&version);
                if history.is_empty() {
                    self.history.remove_mut(path);
                } else {
                    self.history.insert_mut(path.clone(), history);
                }
            }
        }
        self.log_start = version;
        commit.size() as u64
    }

    /// What contradicts the invariants.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (id, index) in self.indexes.iter() {
            for path in index.entries.values() {
                if self.document(path).is_none() {
                    problems.push(format!(
                        "index {} has an entry of `{path}`, which is not there",
                        id.0
                    ));
                }
            }
        }
        let rows = || self.log.values().flat_map(|commit| commit.values());
        if rows().count() as u64 != self.log_changes
            || rows().map(LogRow::bytes).sum::<u64>() != self.log_bytes
        {
            problems.push("the log holds other rows than it counts".to_owned());
        }
        for (version, commit) in self.log.iter() {
            for path in commit.keys() {
                if self
                    .history
                    .get(path)
                    .is_none_or(|history| !history.contains_key(version))
                {
                    problems.push(format!("the history of `{path}` lacks version {version}"));
                }
            }
        }
        problems.truncate(CHECK_PROBLEMS_MAX);
        problems
    }
}
