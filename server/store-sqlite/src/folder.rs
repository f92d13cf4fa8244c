//! The data folder and the lock that keeps other processes out of it.
//!
//! The lock is the system's (`flock`), so it ends with the process however that ends. The process id in the file only
//! tells people who holds it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use andiron_store::StoreError;
use rustix::fs::{FlockOperation, flock};

use crate::error::{driver_error, file_error};

/// The name of the database in a data folder.
pub const DATABASE_FILE: &str = "andiron.db";
/// The name of the lock in a data folder.
pub const LOCK_FILE: &str = "andiron.lock";

/// Bytes of a lock file that are read to learn its holder.
const LOCK_BYTES_MAX: u64 = 32;

/// A locked data folder; unlocked when it is dropped.
pub(crate) struct Folder {
    path: PathBuf,
    /// `None` in a folder that cannot be written and has no lock file.
    _lock: Option<File>,
    writable: bool,
}

impl Folder {
    /// Creates the folder (with mode 0700) unless it exists, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        create(path)?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE));
        match opened.map_err(file_error("opening the lock file")) {
            Ok(mut file) => {
                lock(path, &mut file, FlockOperation::NonBlockingLockExclusive)?;
                // Only for people to read; the lock itself is held already.
                let _ = write_holder(&mut file);
                Ok(Self {
                    path: path.to_owned(),
                    _lock: Some(file),
                    writable: true,
                })
            }
            Err(StoreError::ReadOnly) => Self::open_read_only(path),
            Err(error) => Err(error),
        }
    }

    /// Several processes may read a folder that none of them can write, but not beside one that can.
    fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let held = match File::open(path.join(LOCK_FILE)) {
            Ok(mut file) => {
                lock(path, &mut file, FlockOperation::NonBlockingLockShared)?;
                Some(file)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(driver_error("opening the lock file", error)),
        };
        Ok(Self {
            path: path.to_owned(),
            _lock: held,
            writable: false,
        })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Bytes of the database and its write-ahead log.
    pub(crate) fn size_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for suffix in ["", "-wal", "-shm"] {
            match std::fs::metadata(self.path.join(format!("{DATABASE_FILE}{suffix}"))) {
                Ok(metadata) => bytes += metadata.len(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(driver_error("measuring the data folder", error)),
            }
        }
        Ok(bytes)
    }
}

fn create(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(file_error("creating the data folder"))?;
    // The folder's own entry must survive a power loss too, or what is synced inside it is lost with it.
    sync_parent(path)
}

/// Makes the entry of `path` in its folder durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::SyncFailed {
            detail: format!("{error} (syncing the folder `{}`)", path.display()),
        })
}

fn lock(path: &Path, file: &mut File, operation: FlockOperation) -> Result<(), StoreError> {
    match flock(&*file, operation) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked {
            path: path.to_owned(),
            holder: read_holder(file),
        }),
        Err(error) => Err(driver_error("locking the data folder", error)),
    }
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(LOCK_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
