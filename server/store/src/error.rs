//! What can go wrong in a store, told apart by what the process must do about it.

use std::path::PathBuf;

use andiron_protocol::Version;

/// A failure of a store. Nothing of a group that met one is in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or quota is full. Reads go on; writes may succeed again when there is space.
    #[error("the disk that holds the data is full")]
    Full,
    /// The data cannot be written, only read.
    #[error("the data folder is read-only")]
    ReadOnly,
    /// Another process has the data open.
    #[error("the data folder `{}` is in use by another process{}", path.display(), holder.map(|id| format!(" (process {id})")).unwrap_or_default())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, if it said so.
        holder: Option<u32>,
    },
    /// The data was written by a newer version of the program.
    #[error(
        "the data has format {found}, and this program reads formats up to {supported}; use a newer program"
    )]
    NewerFormat {
        /// The format of the data.
        found: u32,
        /// The newest format that this program knows.
        supported: u32,
    },
    /// What was read is not what was written.
    #[error("the data is damaged: {detail}")]
    Corrupt {
        /// What was found where.
        detail: String,
    },
    /// History before this version is no longer kept.
    #[error("history is kept from version {start}, and version {asked} is older")]
    HistoryGone {
        /// The version that was asked for.
        asked: Version,
        /// The oldest version that can be read.
        start: Version,
    },
    /// A sync to disk failed. What is on the disk is unknown until it is read again, so the process must stop writing
    /// and exit; it must not retry.
    #[error("writing to the disk could not be confirmed: {detail}")]
    SyncFailed {
        /// What the system said.
        detail: String,
    },
    /// Anything else that the driver met.
    #[error("the store failed while {doing}: {source}")]
    Driver {
        /// What it was about to do.
        doing: &'static str,
        /// The driver's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the process must stop writing and exit.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::SyncFailed { .. } | Self::Corrupt { .. })
    }
}
