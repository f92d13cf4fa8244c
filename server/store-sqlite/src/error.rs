//! From SQLite's result codes to what the process must do about them.

use std::sync::OnceLock;

use andiron_store::StoreError;
use rusqlite::ffi;

/// What can go wrong beyond what SQLite itself reports; always the source of a [`StoreError::Driver`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    #[error("this program was built with SQLite {found}, and versions before 3.51.3 can damage the data")]
    UnsafeSqlite { found: &'static str },
    #[error("`{path}` is a SQLite database, but not one of Andiron's")]
    ForeignDatabase { path: String },
    #[error("SQLite could not be put into its write-ahead mode but is in `{mode}`")]
    JournalMode { mode: String },
    #[error("more than {max} snapshots are open at one time")]
    TooManyReaders { max: usize },
    #[error("the version {version} of a commit does not follow {last}")]
    VersionOrder { version: i64, last: i64 },
    #[error("a commit has {changes} writes, and at most {max} can be stored")]
    CommitSize { changes: usize, max: usize },
    #[error("a commit writes `{path}` twice")]
    WrittenTwice { path: String },
    #[error("the group has met an error before")]
    GroupFailed,
    #[error("there is no document `{path}`")]
    NoDocument { path: String },
    #[error("the index {id} does not exist")]
    NoIndex { id: u32 },
    #[error("there are already {max} indexes")]
    TooManyIndexes { max: u32 },
    #[error("`{path}` exists already")]
    TargetExists { path: String },
    #[error("the copy was stopped")]
    Stopped,
}

/// Wraps an error of the driver's own.
pub(crate) fn driver_error(
    doing: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Driver {
        doing,
        source: Box::new(source),
    }
}

/// Maps an error of the file system.
pub(crate) fn file_error(doing: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => driver_error(doing, error),
    }
}

/// Maps an error of SQLite.
pub(crate) fn store_error(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| match error {
        rusqlite::Error::SqliteFailure(code, message) => from_code(doing, code, message),
        rusqlite::Error::SqlInputError { error, msg, .. } => from_code(doing, error, Some(msg)),
        // A text that is not UTF-8, or a column of the wrong type: STRICT tables and bound `str`s cannot hold them.
        rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..) => StoreError::Corrupt {
            detail: format!("{error} (while {doing})"),
        },
        other => driver_error(doing, other),
    }
}

/// A text column that turned out not to be one.
pub(crate) fn not_text(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a stored text is none: {error}"),
    }
}

fn from_code(doing: &'static str, error: ffi::Error, message: Option<String>) -> StoreError {
    let detail = || match &message {
        Some(message) => format!("{message} (code {}, while {doing})", error.extended_code),
        None => format!("{error} (code {}, while {doing})", error.extended_code),
    };
    match error.extended_code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => {
            return StoreError::SyncFailed { detail: detail() };
        }
        // The shared-memory index is a few hundred kilobytes; only a full disk keeps it from growing.
        ffi::SQLITE_IOERR_SHMSIZE => return StoreError::Full,
        ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA => {
            return StoreError::Corrupt { detail: detail() };
        }
        _ => {}
    }
    match error.extended_code & 0xff {
        ffi::SQLITE_FULL => StoreError::Full,
        ffi::SQLITE_READONLY => StoreError::ReadOnly,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => StoreError::Corrupt { detail: detail() },
        _ => driver_error(doing, rusqlite::Error::SqliteFailure(error, message)),
    }
}

/// Remembers that a sync has failed: nobody knows any more what is on the disk, so nothing may be written until another
/// process has read it again.
#[derive(Default)]
pub(crate) struct Poison(OnceLock<String>);

impl Poison {
    /// Fails if a sync has failed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.0.get() {
            None => Ok(()),
            Some(detail) => Err(StoreError::SyncFailed {
                detail: detail.clone(),
            }),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// Takes note of a failed sync, and hands the error on.
    pub(crate) fn note(&self, error: StoreError) -> StoreError {
        if let StoreError::SyncFailed { detail } = &error {
            // The first failure is the one that tells; later ones are its echo.
            let _ = self.0.set(detail.clone());
        }
        error
    }
}
