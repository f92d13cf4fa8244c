//! The indexes that exist right now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andiron_protocol::Timestamp;
use andiron_store::{IndexDefinition, IndexId, IndexState, StoredIndex};

/// The indexes at one moment. Commits are prepared against one of these and carry its epoch; the writer prepares anew
/// whatever was prepared against another.
///
/// Every index is maintained by commits from the moment it exists until it is gone. Queries use it for a shorter time:
/// from the moment it is complete until it is retired, which comes before it is dropped. So a query that has taken its
/// snapshot while a set was current can use every readable index of that set.
#[derive(Debug, Default)]
pub(crate) struct IndexSet {
    epoch: u64,
    by_collection: HashMap<String, CollectionIndexes>,
    retired: HashSet<IndexId>,
}

#[derive(Debug, Default)]
struct CollectionIndexes {
    stored: Vec<StoredIndex>,
    readable: Vec<Arc<ReadableIndex>>,
}

/// An index that queries may use.
#[derive(Debug)]
pub(crate) struct ReadableIndex {
    pub(crate) id: IndexId,
    pub(crate) definition: IndexDefinition,
    /// When it was last used, in microseconds since 1970; 0 if that is not known.
    last_used_micros: AtomicI64,
}

impl ReadableIndex {
    fn new(index: &StoredIndex) -> Arc<Self> {
        Arc::new(Self {
            id: index.id,
            definition: index.definition.clone(),
            last_used_micros: AtomicI64::new(0),
        })
    }

    /// Notes that it was used.
    pub(crate) fn mark_used(&self, now: Timestamp) {
        self.last_used_micros
            .fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// When it was last used, if that is known.
    pub(crate) fn last_used(&self) -> Option<Timestamp> {
        match self.last_used_micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Timestamp::from_micros_clamped(micros)),
        }
    }
}

impl IndexSet {
    /// The set that follows `self` when the store has these indexes.
    pub(crate) fn following(&self, indexes: Vec<StoredIndex>) -> Self {
        let mut by_collection: HashMap<String, CollectionIndexes> = HashMap::new();
        let mut retired = HashSet::new();
        for index in indexes {
            let collection = by_collection
                .entry(index.definition.collection.clone())
                .or_default();
            if self.retired.contains(&index.id) {
                retired.insert(index.id);
            } else if index.state == IndexState::Ready {
                let known = self.readable(&index.definition.collection).iter();
                let known = known.into_iter().find(|known| known.id == index.id);
                collection
                    .readable
                    .push(known.map_or_else(|| ReadableIndex::new(&index), Arc::clone));
            }
            collection.stored.push(index);
        }
        Self {
            epoch: self.epoch + 1,
            by_collection,
            retired,
        }
    }

    /// The set that follows `self` when these indexes are to be dropped: commits still maintain them.
    pub(crate) fn retiring(&self, ids: &[IndexId]) -> Self {
        let marked = Self {
            epoch: self.epoch,
            by_collection: self.readable_by_collection(),
            retired: self.retired.iter().chain(ids).copied().collect(),
        };
        marked.following(self.iter().cloned().collect())
    }

    fn readable_by_collection(&self) -> HashMap<String, CollectionIndexes> {
        let only_readable = |indexes: &CollectionIndexes| CollectionIndexes {
            stored: Vec::new(),
            readable: indexes.readable.clone(),
        };
        let collections = self.by_collection.iter();
        collections
            .map(|(name, indexes)| (name.clone(), only_readable(indexes)))
            .collect()
    }

    /// Tells sets apart.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The indexes on collections of a name, ready or not: every commit maintains them all.
    pub(crate) fn of_collection(&self, name: &str) -> &[StoredIndex] {
        self.by_collection
            .get(name)
            .map_or(&[], |indexes| indexes.stored.as_slice())
    }

    /// The indexes on collections of a name that queries may use.
    pub(crate) fn readable(&self, name: &str) -> &[Arc<ReadableIndex>] {
        self.by_collection
            .get(name)
            .map_or(&[], |indexes| indexes.readable.as_slice())
    }

    /// A readable index by its number.
    pub(crate) fn readable_by_id(&self, id: IndexId) -> Option<&Arc<ReadableIndex>> {
        self.by_collection
            .values()
            .flat_map(|indexes| &indexes.readable)
            .find(|index| index.id == id)
    }

    /// Every index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StoredIndex> {
        self.by_collection.values().flat_map(|indexes| &indexes.stored)
    }
}
