//! The connections that read: opened when needed, kept while idle up to a bound, the last used first, because its
//! cached pages are the warmest.
//!
//! An idle connection keeps its read transaction open. As long as nothing is committed, the next snapshot takes it as
//! it is, which saves most of what a small snapshot costs. Whether something was committed is told by the *generation*,
//! which the writer advances after each group, so what another program writes is seen only then. While a group becomes
//! visible every snapshot begins a transaction of its own: else one might see the group and the next one, on a
//! connection that idled, not yet. A transaction that is open keeps the write-ahead log from being begun anew; so the checkpointer has the idle ones ended, and advances the
//! generation for those that are in use.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use andiron_store::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::collections::{CollectionCache, Epoch};
use crate::connection::{Opener, Role};
use crate::error::{DriverError, driver_error, store_error};
use crate::view::State;

/// The reading connections of one store.
pub(crate) struct Pool {
    idle: Mutex<Vec<Reader>>,
    generation: AtomicU64,
    /// Whether a group is becoming visible right now.
    committing: AtomicBool,
    open: AtomicUsize,
    open_max: usize,
    idle_max: usize,
}

/// A connection inside a read transaction.
pub(crate) struct Reader {
    pub(crate) connection: Connection,
    /// What it sees.
    pub(crate) state: State,
    /// When the transaction began.
    pub(crate) epoch: Epoch,
    generation: u64,
}

impl Pool {
    pub(crate) fn new(open_max: usize, idle_max: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            generation: AtomicU64::new(0),
            committing: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            open_max,
            idle_max,
        }
    }

    /// Tells that transactions that began before now are not to be used for new snapshots.
    pub(crate) fn advance(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Runs what makes a group visible. Nobody may go on with a view from before, even if it failed, because then it is
    /// not known whether that view is the newest.
    pub(crate) fn committing<T>(&self, commit: impl FnOnce() -> T) -> T {
        self.committing.store(true, Ordering::SeqCst);
        let outcome = commit();
        self.advance();
        self.committing.store(false, Ordering::SeqCst);
        outcome
    }

    /// A connection that sees the newest state.
    pub(crate) fn take(&self, opener: &Opener, collections: &CollectionCache) -> Result<Reader, StoreError> {
        let idle = self.idle.lock().pop();
        // Before the transaction begins: what it sees can only be newer than it is taken for.
        let is_committing = self.committing.load(Ordering::SeqCst);
        let generation = self.generation.load(Ordering::SeqCst);
        let epoch = collections.epoch();
        let connection = match idle {
            Some(reader) if reader.generation == generation && !is_committing => return Ok(reader),
            Some(reader) => {
                let ended = end(&reader.connection);
                self.keep_or_discard(reader.connection, ended)?
            }
            None => self.open(opener)?,
        };
        let begun = begin(&connection);
        let state = begun.as_ref().map_or(State::EMPTY, |state| *state);
        let connection = self.keep_or_discard(connection, begun.map(|_| ()))?;
        Ok(Reader {
            connection,
            state,
            epoch,
            generation,
        })
    }

    pub(crate) fn give_back(&self, reader: Reader) {
        let mut idle = self.idle.lock();
        // Looked at under the lock: whoever comes too late for `end_idle` sees that the generation was advanced before.
        if reader.generation != self.generation.load(Ordering::Acquire) {
            drop(idle);
            if end(&reader.connection).is_err() {
                return self.discard(reader.connection);
            }
            idle = self.idle.lock();
        }
        if idle.len() < self.idle_max {
            idle.push(reader);
        } else {
            drop(idle);
            self.discard(reader.connection);
        }
    }

    /// Ends the transactions of connections that are idle.
    pub(crate) fn end_idle(&self) {
        let mut idle = self.idle.lock();
        for reader in idle.iter_mut() {
            // One that cannot be ended shows it when it is to begin the next.
            let _ = end(&reader.connection);
        }
    }

    /// Closes what is idle.
    pub(crate) fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for reader in idle {
            self.discard(reader.connection);
        }
    }

    fn open(&self, opener: &Opener) -> Result<Connection, StoreError> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.open_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            let max = self.open_max;
            return Err(driver_error(
                "opening a snapshot",
                DriverError::TooManyReaders { max },
            ));
        }
        opener.open(Role::Reader).inspect_err(|_| {
            self.open.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn keep_or_discard(
        &self,
        connection: Connection,
        outcome: Result<(), StoreError>,
    ) -> Result<Connection, StoreError> {
        match outcome {
            Ok(()) => Ok(connection),
            Err(error) => {
                self.discard(connection);
                Err(error)
            }
        }
    }

    fn discard(&self, connection: Connection) {
        drop(connection);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Begins a transaction and fixes what it sees.
pub(crate) fn begin(connection: &Connection) -> Result<State, StoreError> {
    connection
        .prepare_cached("BEGIN")
        .and_then(|mut statement| statement.execute([]))
        .map_err(store_error("beginning a snapshot"))?;
    State::read(connection)
}

/// Ends the transaction, if one is open.
fn end(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        return Ok(());
    }
    connection
        .prepare_cached("COMMIT")
        .and_then(|mut statement| statement.execute([]))
        .map(|_| ())
        .map_err(store_error("ending a snapshot"))
}
