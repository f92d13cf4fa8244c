//! The indexes that exist right now.

use std::collections::HashMap;

use andiron_store::StoredIndex;

/// The indexes at one moment. Commits are prepared against one of these and carry its epoch; the writer prepares anew
/// whatever was prepared against another.
#[derive(Debug, Default)]
pub(crate) struct IndexSet {
    epoch: u64,
    by_collection: HashMap<String, Vec<StoredIndex>>,
}

impl IndexSet {
    /// The set that follows `self`.
    pub(crate) fn following(&self, indexes: Vec<StoredIndex>) -> Self {
        let mut by_collection: HashMap<String, Vec<StoredIndex>> = HashMap::new();
        for index in indexes {
            by_collection
                .entry(index.definition.collection.clone())
                .or_default()
                .push(index);
        }
        Self {
            epoch: self.epoch + 1,
            by_collection,
        }
    }

    /// Tells sets apart.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The indexes on collections of a name, ready or not: every commit maintains them all.
    pub(crate) fn of_collection(&self, name: &str) -> &[StoredIndex] {
        self.by_collection.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StoredIndex> {
        self.by_collection.values().flatten()
    }
}
