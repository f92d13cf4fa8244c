//! A snapshot: one read transaction on a connection of the pool.

use std::sync::Arc;

use andiron_store::StoreError;
use rusqlite::Connection;

use crate::collections::{self, Epoch};
use crate::error::store_error;
use crate::store::Shared;
use crate::view::{State, View};

/// The transaction of a snapshot. What it sees is fixed when it begins, not at the first read.
pub(crate) struct SnapshotView<'s> {
    shared: &'s Shared,
    /// `None` only while it is dropped.
    connection: Option<Connection>,
    epoch: Epoch,
    state: State,
}

impl<'s> SnapshotView<'s> {
    pub(crate) fn begin(shared: &'s Shared) -> Result<Self, StoreError> {
        let epoch = shared.collections.epoch();
        let connection = shared.pool.take(&shared.opener)?;
        match begin(&connection) {
            Ok(state) => Ok(Self {
                shared,
                connection: Some(connection),
                epoch,
                state,
            }),
            Err(error) => {
                shared.pool.discard(connection);
                Err(error)
            }
        }
    }
}

fn begin(connection: &Connection) -> Result<State, StoreError> {
    connection
        .prepare_cached("BEGIN")
        .and_then(|mut statement| statement.execute([]))
        .map_err(store_error("beginning a snapshot"))?;
    State::read(connection)
}

impl Drop for SnapshotView<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let ended = connection
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]));
        match ended {
            Ok(_) => self.shared.pool.give_back(connection),
            Err(_) => self.shared.pool.discard(connection),
        }
    }
}

impl View for SnapshotView<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until it is dropped")
    }

    fn state(&self) -> State {
        self.state
    }

    fn collection_number(&self, path: &str) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.shared.collections.number(self.epoch, path) {
            return Ok(Some(number));
        }
        let found = collections::find_number(self.connection(), path)?;
        if let Some(number) = found {
            self.shared
                .collections
                .remember(self.epoch, &Arc::from(path), number);
        }
        Ok(found)
    }

    fn collection_path(&self, number: i64) -> Result<Arc<str>, StoreError> {
        if let Some(path) = self.shared.collections.path(number) {
            return Ok(path);
        }
        let path = collections::find_path(self.connection(), number)?;
        self.shared.collections.remember(self.epoch, &path, number);
        Ok(path)
    }
}
