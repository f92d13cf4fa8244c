//! Moving the write-ahead log into the database, on a thread of its own.
//!
//! SQLite would do it in the commit that makes the log too long, and that commit would wait for it. Here the thread
//! first moves what there is while commits go on, then holds the writer back for the short rest that was added
//! meanwhile: only a log that has been moved completely is begun anew, else it would grow without end. Should the
//! thread fall far behind the writer, the next group waits for it.
//!
//! SQLite's own automatism also keeps a failed sync to itself. The log may then be overwritten though the database
//! never reached the disk, so here such a failure ends all writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use andiron_store::StoreError;
use parking_lot::{Condvar, Mutex};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};

use crate::connection::Role;
use crate::error::store_error;
use crate::store::Shared;

const DOING: &str = "moving the write-ahead log into the database";

/// How often the log is moved while commits go on, before the writer is held back for the rest.
const PASSES_MAX: usize = 3;
/// The rest is short if it is less than this part of what causes the log to be moved.
const REST_FRACTION: u64 = 8;
/// The next group waits when the log has grown by so many times what causes it to be moved, and was not.
const OVERDUE_FACTOR: u64 = 4;

/// When the log is to be moved, and the means to have it done.
pub(crate) struct Checkpoints {
    /// Pages of new log after which it is moved.
    pages: u64,
    /// Pages in the log.
    written: Arc<AtomicU64>,
    /// Pages that the log had when it was last moved.
    attempted: AtomicU64,
    stage: Mutex<Stage>,
    /// Tells the thread of a new stage.
    wake: Condvar,
    /// Tells the writer that an attempt has ended.
    attempt_ended: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Requested,
    Moving,
    Stopped,
}

impl Checkpoints {
    pub(crate) fn new(pages: u64) -> Self {
        Self {
            pages: pages.max(1),
            written: Arc::default(),
            attempted: AtomicU64::new(0),
            stage: Mutex::default(),
            wake: Condvar::new(),
            attempt_ended: Condvar::new(),
        }
    }

    /// Has the writing connection tell how long the log is.
    pub(crate) fn watch(&self, writer: &mut Connection) -> Result<(), StoreError> {
        let written = Arc::clone(&self.written);
        writer
            .wal_hook(Some(move |_: &mut _, pages: std::ffi::c_int| {
                written.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(store_error("opening the database"))
    }

    /// Called by the writer after each group.
    pub(crate) fn request_if_due(&self) {
        let written = self.written.load(Ordering::Relaxed);
        let attempted = self.attempted.load(Ordering::Relaxed);
        if written < attempted {
            // The log has been begun anew.
            self.attempted.store(0, Ordering::Relaxed);
        } else if written - attempted >= self.pages {
            let mut stage = self.stage.lock();
            if *stage == Stage::Idle {
                *stage = Stage::Requested;
                self.wake.notify_one();
            }
        }
    }

    /// Called before a group, by whoever does not hold the writer: waits for an attempt that is long overdue. It ends
    /// whether or not the log could be moved, so nobody who reads for long can stop the writer.
    pub(crate) fn wait_if_overdue(&self) {
        if !self.is_overdue() {
            return;
        }
        let mut stage = self.stage.lock();
        while matches!(*stage, Stage::Requested | Stage::Moving) && self.is_overdue() {
            self.attempt_ended.wait(&mut stage);
        }
    }

    fn is_overdue(&self) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        let attempted = self.attempted.load(Ordering::Relaxed);
        written.saturating_sub(attempted) >= self.pages * OVERDUE_FACTOR
    }

    /// Waits for work; `false` when there will be none any more.
    fn wait(&self) -> bool {
        let mut stage = self.stage.lock();
        while *stage == Stage::Idle {
            self.wake.wait(&mut stage);
        }
        if *stage == Stage::Requested {
            *stage = Stage::Moving;
        }
        *stage != Stage::Stopped
    }

    fn stop(&self) {
        *self.stage.lock() = Stage::Stopped;
        self.wake.notify_all();
        self.attempt_ended.notify_all();
    }

    fn note_attempt(&self) {
        self.attempted
            .store(self.written.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut stage = self.stage.lock();
        if *stage == Stage::Moving {
            *stage = Stage::Idle;
        }
        self.attempt_ended.notify_all();
    }
}

/// The thread that moves the log; stopped when it is dropped.
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let connection = shared.opener.open(Role::Checkpointer)?;
        let thread = std::thread::Builder::new()
            .name("andiron-checkpoint".to_owned())
            .spawn({
                let shared = Arc::clone(shared);
                move || run(&shared, &connection)
            })
            .map_err(|error| crate::error::driver_error("starting a thread", error))?;
        Ok(Self {
            shared: Arc::clone(shared),
            thread: Some(thread),
        })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.checkpoints.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing left for it to do.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, connection: &Connection) {
    let _stop = StopAtEnd(&shared.checkpoints);
    while shared.checkpoints.wait() {
        if shared.poison.is_set() {
            return;
        }
        let moved = move_log(shared, connection);
        shared.checkpoints.note_attempt();
        if let Err(error) = moved {
            report(shared, error);
        }
    }
}

/// However the thread ends, nobody waits for it afterwards.
struct StopAtEnd<'c>(&'c Checkpoints);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn move_log(shared: &Shared, connection: &Connection) -> Result<(), StoreError> {
    let checkpoints = &shared.checkpoints;
    for _ in 0..PASSES_MAX {
        shared.pool.end_idle();
        let moved = step(connection)?;
        if checkpoints.written.load(Ordering::Relaxed) < moved + checkpoints.pages / REST_FRACTION {
            break;
        }
    }
    let _writer = shared.writer.as_ref().map(Mutex::lock);
    shared.pool.end_idle();
    let moved = step(connection);
    // Whoever reads from the log now would keep it from being begun anew after it has become idle.
    shared.pool.advance();
    shared.pool.end_idle();
    moved.map(|_| ())
}

/// Moves what no reader and no writer keeps from being moved, and returns how many pages of the log are moved now.
fn step(connection: &Connection) -> Result<u64, StoreError> {
    match connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE) {
        Ok((_, moved)) => Ok(u64::try_from(moved).unwrap_or(0)),
        // Another program, say `sqlite3` in a terminal, is moving it right now.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(0),
        Err(error) => Err(store_error(DOING)(error)),
    }
}

fn report(shared: &Shared, error: StoreError) {
    match error {
        // The log stays as it is; the next attempt comes with the next pages. Whoever writes meets the same and says it.
        StoreError::Full | StoreError::ReadOnly => {}
        error => {
            shared.poison.note(StoreError::SyncFailed {
                detail: error.to_string(),
            });
        }
    }
}
