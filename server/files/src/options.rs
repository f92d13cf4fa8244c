//! The limits of files, each with its default.

use std::time::Duration;

use crate::{BucketList, Presets};

/// Limits of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesOptions {
    /// Bytes of one file. Default 5 GiB.
    pub file_bytes_max: u64,
    /// Bytes of all files that one account has uploaded. Default no limit.
    pub account_bytes_max: Option<u64>,
    /// Bytes of a file, or of a variant of an image, that lie in a document and not in the store. A file system takes a block
    /// of 4 KiB and an inode for any; much more than 16 KiB would fill the change log, which has documents too. Default 16 KiB.
    pub embedded_bytes_max: usize,
    /// What is said of buckets. Default nothing of any.
    pub buckets: BucketList,
    /// Variants of images that may be asked for by name, or as they are. Default none.
    pub presets: Presets,
    /// Memory that making variants of images may take, all that are made at a time together. What would take more alone is
    /// refused. Default 512 MiB.
    pub variant_memory_bytes: u64,
    /// How long the bytes of overwritten and deleted files are kept: as long as the change log. Default 7 days.
    pub history_age_max: Duration,
    /// How old bytes must be that no file names before they are taken for the rest of an upload that came to nothing.
    /// Default 24 h.
    pub orphan_age_min: Duration,
    /// How long an upload in several requests is kept that nobody goes on with. Default 24 h.
    pub upload_idle_max: Duration,
    /// Uploads that a caller may have begun and not finished; callers without an account have them together.
    /// Administrators are free of it. Default 200.
    pub uploads_unfinished_max: u32,
    /// Files that one page of a list may look at to find those that the caller may see. Default 20,000.
    pub list_examined_max: usize,
}

impl Default for FilesOptions {
    fn default() -> Self {
        Self {
            file_bytes_max: 5 << 30,
            account_bytes_max: None,
            embedded_bytes_max: 16 * 1024,
            buckets: BucketList::new(),
            presets: Presets::new(),
            variant_memory_bytes: 512 << 20,
            history_age_max: Duration::from_secs(7 * 24 * 3600),
            orphan_age_min: Duration::from_secs(24 * 3600),
            upload_idle_max: Duration::from_secs(24 * 3600),
            uploads_unfinished_max: 200,
            list_examined_max: 20_000,
        }
    }
}
