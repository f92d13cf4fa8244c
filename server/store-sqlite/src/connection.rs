//! Connections and their settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use andiron_store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::SqliteOptions;
use crate::error::{DriverError, driver_error, store_error};

/// Bytes of a page. Smaller pages cost less to write into the log, larger ones hold more documents.
pub(crate) const PAGE_BYTES: u32 = 4096;
/// Statements that a connection keeps prepared: some twenty of ours and up to four an index.
const STATEMENTS_MAX: usize = 160;
/// How long a statement waits for another program that holds the database, say `sqlite3` in a terminal.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The first SQLite without the race that could damage a write-ahead log written by several connections.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Commits, and creates the database.
    Writer,
    /// Reads snapshots.
    Reader,
    /// Moves the write-ahead log into the database.
    Checkpointer,
}

/// Opens the connections of one store, all with the same settings.
pub(crate) struct Opener {
    database: PathBuf,
    options: SqliteOptions,
    /// Nobody writes, and there is no write-ahead log: SQLite need not create the files that it coordinates with.
    immutable: bool,
}

impl Opener {
    pub(crate) fn new(
        database: PathBuf,
        options: &SqliteOptions,
        writable: bool,
    ) -> Result<Self, StoreError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            let found = rusqlite::version();
            return Err(driver_error(
                "opening the data",
                DriverError::UnsafeSqlite { found },
            ));
        }
        let immutable = !writable && !log_file(&database).exists();
        Ok(Self {
            database,
            options: options.clone(),
            immutable,
        })
    }

    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    pub(crate) fn options(&self) -> &SqliteOptions {
        &self.options
    }

    pub(crate) fn open(&self, role: Role) -> Result<Connection, StoreError> {
        self.open_connection(role)
            .and_then(|connection| self.configure(&connection, role).map(|()| connection))
            .map_err(store_error("opening the database"))
    }

    fn open_connection(&self, role: Role) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
            | match role {
                Role::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
                Role::Checkpointer => OpenFlags::SQLITE_OPEN_READ_WRITE,
                Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
            };
        if self.immutable {
            let uri = immutable_uri(&self.database);
            return Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI);
        }
        match &self.options.vfs {
            None => Connection::open_with_flags(&self.database, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.database, flags, vfs.as_str()),
        }
    }

    fn configure(&self, connection: &Connection, role: Role) -> rusqlite::Result<()> {
        let options = &self.options;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        let cache_bytes_max = match role {
            Role::Writer => options.writer_cache_bytes_max,
            Role::Reader | Role::Checkpointer => options.reader_cache_bytes_max,
        };
        // Checking every cell of every page that is looked at costs a reader a third of a point read. What the writer
        // builds on is checked so; the examination, which runs on a reader, relies on SQLite's integrity check.
        let cell_size_check = if role == Role::Reader { "OFF" } else { "ON" };
        let mapped_bytes_max = match options.vfs {
            None => options.mapped_bytes_max.min(i64::MAX as u64),
            Some(_) => 0,
        };
        connection.execute_batch(&format!(
            "PRAGMA trusted_schema = OFF;
             PRAGMA foreign_keys = OFF;
             PRAGMA cell_size_check = {cell_size_check};
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -{};
             PRAGMA mmap_size = {mapped_bytes_max};
             PRAGMA synchronous = {};",
            cache_bytes_max / 1024,
            options.durability.synchronous(),
        ))?;
        if role == Role::Writer {
            // The page size counts only while the database is empty. Moving the log into the database is the
            // checkpointer's work, because SQLite itself would not tell if a sync failed then.
            connection.execute_batch(&format!(
                "PRAGMA page_size = {PAGE_BYTES};
                 PRAGMA journal_size_limit = {};
                 PRAGMA wal_autocheckpoint = 0;",
                options.checkpoint_bytes
            ))?;
        }
        Ok(())
    }
}

/// Puts the database into write-ahead mode, which it keeps.
pub(crate) fn enter_log_mode(connection: &Connection) -> Result<(), StoreError> {
    let doing = "opening the database";
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(store_error(doing))?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(driver_error(doing, DriverError::JournalMode { mode }))
    }
}

/// The write-ahead log of a database.
pub(crate) fn log_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;

    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}
