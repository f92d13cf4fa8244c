//! A store that keeps everything in memory: for tests and simulation.
//!
//! The state is made of persistent maps, so a snapshot is a copy of a few pointers that later groups cannot touch, and a
//! group is a copy that takes the place of the current state when it is finished. What is not shared between them is
//! only what a group changed.
//!
//! Nothing is on a disk: there is no durability, and no backup.

mod group;
mod state;
mod view;

use std::ops::ControlFlow;
use std::path::Path;

use parking_lot::{Mutex, RwLock};

use self::group::MemoryGroup;
use self::state::State;
use self::view::View;
use crate::{Group, Snapshot, Store, StoreError};

/// A store in memory, gone when it is dropped.
#[derive(Default)]
pub struct MemoryStore {
    current: RwLock<State>,
    /// Held by the group that is open.
    writing: Mutex<()>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(View(self.current.read().clone())))
    }

    fn begin(&self) -> Result<Box<dyn Group + '_>, StoreError> {
        let writing = self.writing.lock();
        let state = self.current.read().clone();
        Ok(Box::new(MemoryGroup::new(&self.current, writing, state)))
    }

    /// Always an error: there is nothing on a disk that a copy could be opened from.
    fn backup(
        &self,
        _target: &Path,
        _progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Err(failure("backing up", "a store in memory has no backup"))
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.current.read().problems())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// An error that is the caller's mistake.
fn failure(doing: &'static str, problem: impl Into<String>) -> StoreError {
    StoreError::Driver {
        doing,
        source: problem.into().into(),
    }
}
