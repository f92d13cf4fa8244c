//! Reading one state.

use std::borrow::Borrow;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, Version};
use rpds::RedBlackTreeMapSync;

use super::failure;
use super::state::{Index, State};
use crate::{
    Change, DocumentRow, IdRange, IndexDefinition, IndexId, KeyRange, LogInfo, ScanDirection, Snapshot,
    StoreError, StoredDocument, StoredIndex, VisitChange, VisitDocument, VisitEntry, VisitKey,
};

/// A state to read.
pub(super) struct View(pub(super) State);

impl View {
    fn index(&self, index: IndexId) -> Result<&Index, StoreError> {
        self.0
            .indexes
            .get(&index)
            .ok_or_else(|| failure("reading an index", format!("there is no index {}", index.0)))
    }

    fn check_history(&self, asked: Version) -> Result<(), StoreError> {
        let start = self.0.log_start;
        if asked < start {
            return Err(StoreError::HistoryGone { asked, start });
        }
        Ok(())
    }
}

impl Snapshot for View {
    fn version(&self) -> Result<Version, StoreError> {
        Ok(self.0.version)
    }

    fn get(&self, path: &DocumentPath, visit: VisitDocument<'_>) -> Result<(), StoreError> {
        if let Some(document) = self.0.document(path) {
            // One row was asked for, so there is nothing to break off.
            let _ = visit(row(document));
        }
        Ok(())
    }

    fn get_at(&self, path: &DocumentPath, version: Version) -> Result<Option<StoredDocument>, StoreError> {
        self.check_history(version)?;
        // The first change since holds what was there before it.
        let since = self.0.history.get(path).and_then(|history| {
            let mut later = within(history, (Bound::Excluded(&version), Bound::Unbounded));
            later.next().map(|(_, row)| row.before.as_ref())
        });
        let document = since.unwrap_or_else(|| self.0.document(path));
        Ok(document.map(|document| StoredDocument::clone(document)))
    }

    fn scan_collection(
        &self,
        collection: &CollectionPath,
        range: IdRange<'_>,
        direction: ScanDirection,
        visit: VisitDocument<'_>,
    ) -> Result<(), StoreError> {
        if let Some(documents) = self.0.collections.get(collection) {
            scan(within(documents, range), direction, |(_, document)| {
                visit(row(document))
            });
        }
        Ok(())
    }

    fn scan_group(&self, name: &str, visit: VisitDocument<'_>) -> Result<(), StoreError> {
        for (collection, documents) in self.0.collections.iter() {
            if collection.name() == name {
                for document in documents.values() {
                    if visit(row(document)).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn scan_index(
        &self,
        index: IndexId,
        range: KeyRange<'_>,
        direction: ScanDirection,
        visit: VisitEntry<'_>,
    ) -> Result<(), StoreError> {
        let entries = &self.index(index)?.entries;
        let mut lost = None;
        scan(within(entries, range), direction, |(key, path)| {
            match self.0.document(path) {
                Some(document) => visit(key, row(document)),
                None => {
                    lost = Some(path);
                    ControlFlow::Break(())
                }
            }
        });
        match lost {
            None => Ok(()),
            Some(path) => Err(StoreError::Corrupt {
                detail: format!("index {} has an entry of `{path}`, which is not there", index.0),
            }),
        }
    }

    fn scan_index_keys(
        &self,
        index: IndexId,
        range: KeyRange<'_>,
        direction: ScanDirection,
        visit: VisitKey<'_>,
    ) -> Result<(), StoreError> {
        let entries = &self.index(index)?.entries;
        scan(within(entries, range), direction, |(key, _)| visit(key));
        Ok(())
    }

    fn count_index(&self, index: IndexId, range: KeyRange<'_>, max: u64) -> Result<u64, StoreError> {
        Ok(count(within(&self.index(index)?.entries, range), max))
    }

    fn count_collection(
        &self,
        collection: &CollectionPath,
        range: IdRange<'_>,
        max: u64,
    ) -> Result<u64, StoreError> {
        let documents = self.0.collections.get(collection);
        Ok(documents.map_or(0, |documents| count(within(documents, range), max)))
    }

    fn collection_names(&self, parent: Option<&DocumentPath>) -> Result<Vec<String>, StoreError> {
        let parent = parent.map_or("", DocumentPath::as_str);
        let mut names: Vec<String> = self
            .0
            .collections
            .keys()
            .filter(|collection| {
                let own = collection
                    .as_str()
                    .rsplit_once('/')
                    .map_or("", |(parent, _)| parent);
                own == parent
            })
            .map(|collection| collection.name().to_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    fn collections(
        &self,
        after: Option<&CollectionPath>,
        max: usize,
    ) -> Result<Vec<CollectionPath>, StoreError> {
        let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
        let later = within(&self.0.collections, (lower, Bound::Unbounded));
        Ok(later
            .take(max)
            .map(|(collection, _)| collection.clone())
            .collect())
    }

    fn changes(&self, after: Version, visit: VisitChange<'_>) -> Result<(), StoreError> {
        self.check_history(after)?;
        for (version, commit) in within(&self.0.log, (Bound::Excluded(&after), Bound::Unbounded)) {
            for (path, logged) in commit.iter() {
                let change = Change {
                    version: *version,
                    collection: path.collection_str(),
                    id: path.id(),
                    before: logged.before.as_ref().map(row),
                    deleted: logged.deleted,
                };
                if visit(change).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn log(&self) -> Result<LogInfo, StoreError> {
        Ok(LogInfo {
            start: self.0.log_start,
            changes: self.0.log_changes,
            bytes: self.0.log_bytes,
        })
    }

    fn indexes(&self) -> Result<Vec<StoredIndex>, StoreError> {
        let indexes = self.0.indexes.iter().map(|(id, index)| StoredIndex {
            id: *id,
            definition: IndexDefinition::clone(&index.definition),
            state: index.state,
        });
        Ok(indexes.collect())
    }
}

fn row(document: &Arc<StoredDocument>) -> DocumentRow<'_> {
    DocumentRow {
        collection: document.path.collection_str(),
        id: document.path.id(),
        version: document.version,
        created: document.created,
        data: &document.data,
    }
}

fn scan<I: DoubleEndedIterator>(
    mut rows: I,
    direction: ScanDirection,
    mut visit: impl FnMut(I::Item) -> ControlFlow<()>,
) {
    loop {
        let next = match direction {
            ScanDirection::Forward => rows.next(),
            ScanDirection::Backward => rows.next_back(),
        };
        if next.is_none_or(|row| visit(row).is_break()) {
            return;
        }
    }
}

/// What a map holds in a range.
pub(super) fn within<'m, K, Q, V>(
    map: &'m RedBlackTreeMapSync<K, V>,
    range: (Bound<&'m Q>, Bound<&'m Q>),
) -> impl DoubleEndedIterator<Item = (&'m K, &'m V)>
where
    K: Ord + Borrow<Q>,
    Q: Ord + ?Sized,
{
    // The map would panic at some of the empty ranges.
    let entries = (!is_empty(range)).then(|| map.range::<Q, _>(range));
    entries.into_iter().flatten()
}

fn count(entries: impl Iterator, max: u64) -> u64 {
    entries.take(usize::try_from(max).unwrap_or(usize::MAX)).count() as u64
}

/// Whether nothing can be in a range.
fn is_empty<T: Ord + ?Sized>(range: (Bound<&T>, Bound<&T>)) -> bool {
    match range {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Included(upper) | Bound::Excluded(upper),
        ) => lower >= upper,
    }
}
