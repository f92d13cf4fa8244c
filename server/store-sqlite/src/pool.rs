//! The connections that read: opened when needed, kept while idle up to a bound, the last used first, because its
//! cached pages are the warmest.

use std::sync::atomic::{AtomicUsize, Ordering};

use andiron_store::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::connection::{Opener, Role};
use crate::error::{DriverError, driver_error};

/// The reading connections of one store.
pub(crate) struct Pool {
    idle: Mutex<Vec<Connection>>,
    open: AtomicUsize,
    open_max: usize,
    idle_max: usize,
}

impl Pool {
    pub(crate) fn new(open_max: usize, idle_max: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
            open_max,
            idle_max,
        }
    }

    pub(crate) fn take(&self, opener: &Opener) -> Result<Connection, StoreError> {
        if let Some(connection) = self.idle.lock().pop() {
            return Ok(connection);
        }
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

    /// Takes a connection back. One that could not end its transaction is to be given to [`Pool::discard`].
    pub(crate) fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_max {
            idle.push(connection);
        } else {
            drop(idle);
            self.discard(connection);
        }
    }

    pub(crate) fn discard(&self, connection: Connection) {
        drop(connection);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Closes what is idle.
    pub(crate) fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for connection in idle {
            self.discard(connection);
        }
    }
}
