//! What can be chosen about a store. The defaults suit a small server: safe first, then few megabytes of memory.

/// Options of a [`SqliteStore`](crate::SqliteStore).
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// When a group counts as written. Default: [`Durability::Full`].
    pub durability: Durability,
    /// Connections that may read at one time; one more snapshot is an error. Default: 256.
    pub readers_max: usize,
    /// Reading connections kept open while nobody uses them. Default: 16.
    pub idle_readers_max: usize,
    /// Bytes of pages that one reading connection may keep. Pages of the database file itself are mapped and do not
    /// count; these are pages that stand in the write-ahead log. Default: 1 MiB.
    pub reader_cache_bytes_max: u32,
    /// Bytes of pages that the writing connection may keep. A group that changes more spills into the write-ahead log
    /// early, which is slower but not wrong. Default: 16 MiB.
    pub writer_cache_bytes_max: u32,
    /// Bytes of the database file that are mapped into memory; what lies beyond is read by system calls. SQLite maps
    /// at most 2 GiB. Mapped pages belong to the system's file cache: it takes them back when memory is short. A disk
    /// that fails under a mapped page ends the process. Default: 2 GiB; 0 maps nothing.
    pub mapped_bytes_max: u64,
    /// Bytes of write-ahead log after which it is moved into the database; the file keeps about this size. Default:
    /// 8 MiB.
    pub checkpoint_bytes: u64,
    /// The name of a registered SQLite VFS to use instead of the system's, with nothing mapped: for tests that need a
    /// disk that fails.
    #[doc(hidden)]
    pub vfs: Option<String>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            readers_max: 256,
            idle_readers_max: 16,
            reader_cache_bytes_max: 1024 * 1024,
            writer_cache_bytes_max: 16 * 1024 * 1024,
            mapped_bytes_max: 2 * 1024 * 1024 * 1024,
            checkpoint_bytes: 8 * 1024 * 1024,
            vfs: None,
        }
    }
}

/// When a group of commits counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the disk says that it has it: a power loss loses nothing that was answered.
    #[default]
    Full,
    /// When the system has it: a crash of the process loses nothing, a power loss may lose the last moments, the data
    /// stays whole.
    Relaxed,
    /// Never waited for: a power loss may also damage the data. Only for tests, and for those that test the tests.
    Off,
}

impl Durability {
    pub(crate) fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Relaxed => "NORMAL",
            Self::Off => "OFF",
        }
    }
}
