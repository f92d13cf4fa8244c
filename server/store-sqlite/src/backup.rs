//! A consistent copy of everything, made while commits go on.
//!
//! The copy is a data folder of its own, to be opened as it is. It appears under its name only when it is complete and
//! durable; until then it is built beside it, in a folder whose name ends in `.partial`.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use andiron_store::StoreError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::connection::Role;
use crate::error::{DriverError, driver_error, file_error, store_error};
use crate::folder::{DATABASE_FILE, sync_folder, sync_parent};
use crate::pool;
use crate::store::Shared;

const DOING: &str = "backing up";
/// Pages copied between two calls of `progress`: one megabyte.
const STEP_PAGES: std::ffi::c_int = 256;

pub(crate) fn backup(
    shared: &Shared,
    target: &Path,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    if target.exists() {
        return Err(exists(target));
    }
    let partial = Partial::create(target)?;
    copy(shared, &partial.0.join(DATABASE_FILE), progress)?;
    partial.complete(target)
}

fn copy(
    shared: &Shared,
    database: &Path,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    // A connection of its own inside one transaction: what it sees does not change, so the copy is never begun anew.
    let from = shared.opener.open(Role::Reader)?;
    pool::begin(&from)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut to = Connection::open_with_flags(database, flags).map_err(store_error(DOING))?;
    // Nobody relies on the copy before it is complete, and then it is synced as a whole.
    to.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")
        .map_err(store_error(DOING))?;
    {
        let copy = Backup::new(&from, &mut to).map_err(store_error(DOING))?;
        loop {
            let step = copy.step(STEP_PAGES).map_err(store_error(DOING))?;
            let done = copy.progress();
            let total = u64::try_from(done.pagecount).unwrap_or(0);
            let remaining = u64::try_from(done.remaining).unwrap_or(0);
            if progress(total - remaining.min(total), total).is_break() {
                return Err(driver_error(DOING, DriverError::Stopped));
            }
            if step == StepResult::Done {
                break;
            }
        }
    }
    to.close().map_err(|(_, error)| store_error(DOING)(error))?;
    File::open(database)
        .and_then(|file| file.sync_all())
        .map_err(|error| driver_error(DOING, error))
}

/// A copy that is not complete; removed when it is dropped.
struct Partial(PathBuf);

impl Partial {
    fn create(target: &Path) -> Result<Self, StoreError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(&path)),
            Err(error) => Err(file_error(DOING)(error)),
        }
    }

    fn complete(self, target: &Path) -> Result<(), StoreError> {
        sync_folder(&self.0)?;
        if target.exists() {
            return Err(exists(target));
        }
        std::fs::rename(&self.0, target).map_err(file_error(DOING))?;
        sync_parent(target)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After it was completed there is nothing of this name.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn exists(path: &Path) -> StoreError {
    let path = path.display().to_string();
    driver_error(DOING, DriverError::TargetExists { path })
}
