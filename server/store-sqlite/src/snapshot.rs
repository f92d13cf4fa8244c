//! A snapshot: a read transaction on a connection of the pool.

use std::sync::Arc;

use andiron_store::StoreError;
use rusqlite::Connection;

use crate::collections;
use crate::pool::Reader;
use crate::store::Shared;
use crate::view::{State, View};

/// The transaction of a snapshot. What it sees is fixed when it is taken, not at the first read.
pub(crate) struct SnapshotView<'s> {
    shared: &'s Shared,
    /// `None` only while it is dropped.
    reader: Option<Reader>,
}

impl<'s> SnapshotView<'s> {
    pub(crate) fn begin(shared: &'s Shared) -> Result<Self, StoreError> {
        let reader = shared.pool.take(&shared.opener, &shared.collections)?;
        Ok(Self {
            shared,
            reader: Some(reader),
        })
    }

    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for SnapshotView<'_> {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.shared.pool.give_back(reader);
        }
    }
}

impl View for SnapshotView<'_> {
    fn connection(&self) -> &Connection {
        &self.reader().connection
    }

    fn state(&self) -> State {
        self.reader().state
    }

    fn collection_number(&self, path: &str) -> Result<Option<i64>, StoreError> {
        let (cache, epoch) = (&self.shared.collections, self.reader().epoch);
        if let Some(number) = cache.number(epoch, path) {
            return Ok(Some(number));
        }
        let found = collections::find_number(self.connection(), path)?;
        if let Some(number) = found {
            cache.remember(epoch, &Arc::from(path), number);
        }
        Ok(found)
    }

    fn collection_path(&self, number: i64) -> Result<Arc<str>, StoreError> {
        let cache = &self.shared.collections;
        if let Some(path) = cache.path(number) {
            return Ok(path);
        }
        let path = collections::find_path(self.connection(), number)?;
        cache.remember(self.reader().epoch, &path, number);
        Ok(path)
    }
}
