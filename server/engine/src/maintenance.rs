//! What has to be done from time to time: trimming the change log, sweeping up after dropped indexes, forgetting old
//! idempotency records.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use andiron_protocol::{CollectionPath, CommitBody, Precondition, Value, Version, Write, WriteKind};
use andiron_store::{Group, LogRetention, ScanDirection, StoreError};
use parking_lot::Mutex;

use crate::commit::{IDEMPOTENCY_COLLECTION, stored_data};
use crate::committer::Committer;
use crate::engine::Shared;
use crate::{EngineError, idempotency};

/// How often there is a look.
const INTERVAL: Duration = Duration::from_secs(60);
/// Change-log rows removed in one group, so that commits never wait long.
const TRIM_STEP_CHANGES_MAX: u64 = 5_000;
/// Entries of dropped indexes removed in one group, for the same reason.
const SWEEP_STEP_ENTRIES_MAX: u64 = 2_000;
/// Idempotency records removed in one commit.
const FORGET_STEP_MAX: usize = 500;

/// The thread that does it.
pub(crate) struct MaintenanceThread {
    stop: Mutex<Option<SyncSender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl MaintenanceThread {
    pub(crate) fn start(shared: Arc<Shared>, committer: Arc<Committer>) -> Result<Self, EngineError> {
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("andiron-maintenance".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = run(&shared, &committer) {
                        tracing::warn!(%error, "maintenance was put off");
                    }
                }
            })
            .map_err(|source| StoreError::Driver {
                doing: "starting maintenance",
                source: Box::new(source),
            })?;
        Ok(Self {
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread and waits for it.
    pub(crate) fn close(&self) {
        drop(self.stop.lock().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic there was logged by the panic hook; there is nothing else to do about it.
            let _ = thread.join();
        }
    }
}

/// Does everything that is due.
pub(crate) fn run(shared: &Arc<Shared>, committer: &Committer) -> Result<(), EngineError> {
    trim_log(shared, committer)?;
    in_steps(committer, |group| group.sweep(SWEEP_STEP_ENTRIES_MAX))?;
    forget_idempotency_records(shared, committer)
}

fn trim_log(shared: &Arc<Shared>, committer: &Committer) -> Result<(), EngineError> {
    let options = &shared.options;
    let age_micros = i64::try_from(options.history_age_max.as_micros()).unwrap_or(i64::MAX);
    let bytes_max = options.history_bytes_max;
    let now = Arc::clone(&shared.surroundings.now);
    in_steps(committer, move |group| {
        let retention = LogRetention {
            after: Version::from_micros(now().as_micros().saturating_sub(age_micros)),
            bytes_max,
            step_changes_max: TRIM_STEP_CHANGES_MAX,
        };
        group.trim_log(retention).map(|outcome| outcome.more)
    })
}

/// Does something in groups of its own, between which others have their turn, until it says that there is no more.
fn in_steps(
    committer: &Committer,
    step: impl Fn(&mut dyn Group) -> Result<bool, StoreError> + Clone + Send + 'static,
) -> Result<(), EngineError> {
    loop {
        let (tell, told) = std::sync::mpsc::channel();
        let step = step.clone();
        let done = committer.maintain(Box::new(move |group| {
            let is_more = step(group)?;
            Ok(Box::new(move || {
                // Whoever asked may have given up.
                let _ = tell.send(is_more);
            }))
        }))?;
        done.blocking_recv().map_err(|_| EngineError::Closed)??;
        if !told.recv().unwrap_or(false) {
            return Ok(());
        }
    }
}

fn forget_idempotency_records(shared: &Arc<Shared>, committer: &Committer) -> Result<(), EngineError> {
    let collection: CollectionPath = IDEMPOTENCY_COLLECTION.parse()?;
    let now = (shared.surroundings.now)();
    let mut after = String::new();
    loop {
        let mut seen = 0;
        let mut last = None;
        let mut expired = Vec::new();
        let range = (
            std::ops::Bound::Excluded(after.as_str()),
            std::ops::Bound::Unbounded,
        );
        shared.store.snapshot()?.scan_collection(&collection, range, ScanDirection::Forward, &mut |row| {
            seen += 1;
            last = Some(row.id.to_owned());
            if let Ok(record) = row.to_stored() {
                let is_due = stored_data(&record).is_ok_and(|data| {
                    !matches!(data.get(idempotency::EXPIRES), Some(Value::Timestamp(expires)) if *expires > now)
                });
                if is_due {
                    expired.push(record);
                }
            }
            if seen < FORGET_STEP_MAX { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
        })?;
        if !expired.is_empty() {
            let writes = expired.into_iter().map(|record| Write {
                path: record.path,
                kind: WriteKind::Delete,
                precondition: Precondition::Version(record.version),
            });
            let body = CommitBody {
                writes: writes.collect(),
                ..CommitBody::default()
            };
            crate::commit::commit_blocking(shared, committer, body)?;
        }
        match last {
            Some(last) if seen == FORGET_STEP_MAX => after = last,
            _ => return Ok(()),
        }
    }
}
