//! The store: opening a data folder, and handing out snapshots and groups.

use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use andiron_store::{Group, Snapshot, Store, StoreError};
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB};

use crate::checkpoint::{Checkpointer, Checkpoints};
use crate::collections::CollectionCache;
use crate::connection::{self, Opener, PAGE_BYTES, Role};
use crate::error::{Poison, file_error, store_error};
use crate::folder::Folder;
use crate::group::SqliteGroup;
use crate::pool::Pool;
use crate::snapshot::SnapshotView;
use crate::view::Reading;
use crate::{SqliteOptions, backup, check, schema};

/// Documents, index entries and the change log in one SQLite database.
///
/// A folder that cannot be written is opened for reading alone: snapshots work, and [`Store::begin`] fails with
/// [`StoreError::ReadOnly`].
///
/// After a sync that failed, [`Store::begin`] fails with [`StoreError::SyncFailed`] for good; snapshots go on.
pub struct SqliteStore {
    /// Dropped first: it uses what is shared.
    checkpointer: Option<Checkpointer>,
    shared: Arc<Shared>,
}

/// What snapshots, groups and the checkpointer use.
pub(crate) struct Shared {
    pub(crate) opener: Opener,
    pub(crate) pool: Pool,
    pub(crate) collections: CollectionCache,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) poison: Poison,
    /// `None` if the folder cannot be written.
    pub(crate) writer: Option<Mutex<Connection>>,
    /// Dropped last: the lock outlives the connections.
    pub(crate) folder: Folder,
}

impl SqliteStore {
    /// Opens the store in a data folder, which is created unless it exists, and brings its data to the current format.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process (or another store of this process) has the folder open;
    /// [`StoreError::NewerFormat`] if a newer program wrote it; else what the disk or SQLite says.
    pub fn open(folder: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let opener = Opener::new(folder.database(), &options, folder.is_writable())?;
        let checkpoints = Checkpoints::new(options.checkpoint_bytes / u64::from(PAGE_BYTES));
        let writer = if folder.is_writable() {
            open_writer(&opener, &checkpoints)?
        } else {
            None
        };
        if writer.is_none() {
            check_readable(&opener)?;
        }
        let shared = Arc::new(Shared {
            pool: Pool::new(options.readers_max, options.idle_readers_max),
            collections: CollectionCache::default(),
            checkpoints,
            poison: Poison::default(),
            writer: writer.map(Mutex::new),
            opener,
            folder,
        });
        let checkpointer = match shared.writer {
            Some(_) => Some(Checkpointer::start(&shared)?),
            None => None,
        };
        Ok(Self { checkpointer, shared })
    }
}

/// The writing connection, on data of the current format; `None` if the database file cannot be written.
fn open_writer(opener: &Opener, checkpoints: &Checkpoints) -> Result<Option<Connection>, StoreError> {
    if opener.options().vfs.is_none() {
        create_private(opener.database())?;
    }
    let mut writer = opener.open(Role::Writer)?;
    let path = opener.database().display().to_string();
    // Nothing is written to data that this program does not understand.
    schema::check(&writer, &path)?;
    if writer
        .is_readonly(MAIN_DB)
        .map_err(store_error("opening the database"))?
    {
        return Ok(None);
    }
    connection::enter_log_mode(&writer)?;
    schema::migrate(&mut writer, &path)?;
    checkpoints.watch(&mut writer)?;
    Ok(Some(writer))
}

/// Creates the database so that only its owner can read it; SQLite gives its other files the same mode.
fn create_private(database: &Path) -> Result<(), StoreError> {
    let created = std::fs::OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(database);
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(file_error("creating the database")(error)),
    }
}

/// Fails unless data that cannot be written can be read as it is.
fn check_readable(opener: &Opener) -> Result<(), StoreError> {
    if !opener.database().exists() {
        return Err(StoreError::ReadOnly);
    }
    let connection = opener.open(Role::Reader)?;
    let format = schema::check(&connection, &opener.database().display().to_string())?;
    if format < schema::FORMAT {
        return Err(StoreError::ReadOnly);
    }
    Ok(())
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.checkpointer.take());
        self.shared.pool.close();
        if let (true, Some(writer)) = (self.shared.poison.is_set(), &self.shared.writer) {
            // Closing the last connection would move the log and delete it, which relies on syncs.
            let _ = writer
                .lock()
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

impl Store for SqliteStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(Reading(SnapshotView::begin(&self.shared)?)))
    }

    fn begin(&self) -> Result<Box<dyn Group + '_>, StoreError> {
        let writer = self.shared.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        self.shared.checkpoints.wait_if_overdue();
        let connection = writer.lock();
        self.shared.poison.check()?;
        Ok(Box::new(SqliteGroup::begin(&self.shared, connection)?))
    }

    fn backup(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        backup::backup(&self.shared, target, progress)
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        check::check(&self.shared)
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.shared.folder.size_bytes()
    }
}
