//! A store so simple that it must be right: a whole copy of all documents for every version, looked through for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Version, data_from_json};

use super::fixture::{Changed, Contents};
use crate::{
    Commit, IndexDefinition, IndexId, IndexState, LogInfo, LogRetention, StoredDocument, StoredIndex,
    TrimOutcome,
};

pub(super) type Documents = BTreeMap<DocumentPath, StoredDocument>;

#[derive(Clone)]
pub(super) struct ModelIndex {
    pub(super) definition: IndexDefinition,
    pub(super) state: IndexState,
    pub(super) entries: BTreeMap<Vec<u8>, DocumentPath>,
}

#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) version: Version,
    /// The documents right after each commit.
    pub(super) states: BTreeMap<Version, Documents>,
    pub(super) changes: Vec<Changed>,
    pub(super) start: Version,
    pub(super) indexes: BTreeMap<IndexId, ModelIndex>,
    /// The numbers that indexes have or had.
    pub(super) used: BTreeSet<IndexId>,
}

impl Model {
    pub(super) fn documents(&self) -> Documents {
        self.states.values().next_back().cloned().unwrap_or_default()
    }

    pub(super) fn documents_at(&self, version: Version) -> Documents {
        self.states
            .range(..=version)
            .next_back()
            .map(|(_, documents)| documents.clone())
            .unwrap_or_default()
    }

    /// The entries of an index that is built now.
    pub(super) fn built(&self, definition: &IndexDefinition) -> BTreeMap<Vec<u8>, DocumentPath> {
        let documents = self.documents();
        let members = documents
            .values()
            .filter(|document| document.path.collection().name() == definition.collection);
        let entries = members.flat_map(|document| {
            let keys = definition.entry_keys(&document.path, &data_map(&document.data));
            keys.into_iter().map(|key| (key, document.path.clone()))
        });
        entries.collect()
    }

    pub(super) fn contents(&self) -> Contents {
        let documents = self.documents();
        let indexes = self.indexes.iter().map(|(id, index)| {
            let stored = StoredIndex {
                id: *id,
                definition: index.definition.clone(),
                state: index.state,
            };
            let entries = index
                .entries
                .iter()
                .map(|(key, path)| (key.clone(), documents[path].clone()));
            (stored, entries.collect())
        });
        Contents {
            version: self.version,
            changes: self.changes.clone(),
            log: LogInfo {
                start: self.start,
                changes: self.changes.len() as u64,
                bytes: self.changes.iter().map(bytes_before).sum(),
            },
            indexes: indexes.collect(),
            documents: documents.into_values().collect(),
        }
    }

    /// The documents that a commit conflicts on, and the queries.
    pub(super) fn conflicts(&self, commit: &Commit) -> (BTreeSet<DocumentPath>, BTreeSet<usize>) {
        let documents = self.documents();
        let reads = commit.reads.iter().map(|read| (&read.path, read.version));
        let writes = commit
            .writes
            .iter()
            .map(|write| (&write.path, write.before.as_ref().map(|before| before.version)));
        let stale = reads
            .chain(writes)
            .filter(|(path, version)| documents.get(path).map(|document| document.version) != *version)
            .map(|(path, _)| path.clone());
        let touched = commit.queries.iter().enumerate().filter(|(_, query)| {
            let touches = |change: &&Changed| {
                let then = change.before.as_ref();
                let now = documents.get(&change.path);
                change.version > query.version
                    && query.source.contains(&change.path)
                    && [then, now]
                        .into_iter()
                        .flatten()
                        .any(|document| (query.matches)(&change.path, &document.data))
            };
            query.version < self.start || self.changes.iter().any(|change| touches(&change))
        });
        (stale.collect(), touched.map(|(number, _)| number).collect())
    }

    pub(super) fn apply(&mut self, commit: &Commit, version: Version) {
        let mut documents = self.documents();
        let mut rows = Vec::new();
        for write in &commit.writes {
            let before = documents.remove(&write.path);
            if let Some(data) = &write.after {
                let created = before.as_ref().map_or(version, |before| before.created);
                let after = StoredDocument {
                    path: write.path.clone(),
                    version,
                    created,
                    data: Arc::clone(data),
                };
                documents.insert(write.path.clone(), after);
            }
            rows.push(Changed {
                version,
                path: write.path.clone(),
                before,
                deleted: write.after.is_none(),
            });
            for change in &write.entries {
                let index = self.indexes.get_mut(&change.index).unwrap();
                if change.added {
                    index.entries.insert(change.key.clone(), write.path.clone());
                } else {
                    index.entries.remove(&change.key);
                }
            }
        }
        rows.sort_by(|left, right| left.path.cmp(&right.path));
        self.changes.extend(rows);
        self.states.insert(version, documents);
        self.version = version;
    }

    pub(super) fn trim(&mut self, retention: LogRetention) -> TrimOutcome {
        let mut removed = 0;
        let more = loop {
            let bytes: u64 = self.changes.iter().map(bytes_before).sum();
            let Some(oldest) = self.changes.first().map(|change| change.version) else {
                break false;
            };
            if oldest > retention.after && bytes <= retention.bytes_max {
                break false;
            }
            let rows = self
                .changes
                .iter()
                .take_while(|change| change.version == oldest)
                .count();
            if removed > 0 && (removed + rows) as u64 > retention.step_changes_max {
                break true;
            }
            self.changes.drain(..rows);
            self.start = oldest;
            removed += rows;
        };
        TrimOutcome {
            removed: removed as u64,
            more,
        }
    }
}

pub(super) fn bytes_before(change: &Changed) -> u64 {
    change
        .before
        .as_ref()
        .map_or(0, |before| before.data.len() as u64)
}

pub(super) fn data_map(data: &str) -> Map {
    data_from_json(data.as_bytes()).unwrap()
}
