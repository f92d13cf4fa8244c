//! What has to be done from time to time: trimming the change log, forgetting old idempotency records.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use andiron_protocol::{CollectionPath, CommitBody, Precondition, Value, Version, Write, WriteKind};
use andiron_store::{LogRetention, ScanDirection, StoreError};
use parking_lot::Mutex;

use crate::commit::{IDEMPOTENCY_COLLECTION, stored_data};
use crate::committer::Committer;
use crate::engine::Shared;
use crate::{EngineError, idempotency};

/// How often there is a look.
const INTERVAL: Duration = Duration::from_secs(60);
/// Change-log rows removed in one group, so that commits never wait long.
const TRIM_STEP_CHANGES_MAX: u64 = 5_000;
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
    forget_idempotency_records(shared, committer)
}

fn trim_log(shared: &Arc<Shared>, committer: &Committer) -> Result<(), EngineError> {
    let age_micros = i64::try_from(shared.options.history_age_max.as_micros()).unwrap_or(i64::MAX);
    loop {
        let now = (shared.surroundings.now)().as_micros();
        let retention = LogRetention {
            after: Version::from_micros(now.saturating_sub(age_micros)),
            bytes_max: shared.options.history_bytes_max,
            step_changes_max: TRIM_STEP_CHANGES_MAX,
        };
        let (tell, told) = std::sync::mpsc::channel();
        let done = committer.maintain(Box::new(move |group| {
            let outcome = group.trim_log(retention)?;
            Ok(Box::new(move || {
                // Whoever asked may have given up.
                let _ = tell.send(outcome.more);
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
