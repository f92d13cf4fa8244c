//! Threads for queries that read much, so that they never hold up the callers' threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use andiron_store::StoreError;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{EngineError, EngineOptions};

type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a bounded queue before them.
pub(crate) struct ScanPool {
    queue: Mutex<Option<mpsc::Sender<Work>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ScanPool {
    pub(crate) fn start(options: &EngineOptions) -> Result<Self, EngineError> {
        let (queue, work) = mpsc::channel::<Work>(options.scan_queue_max);
        let work = Arc::new(Mutex::new(work));
        let threads = (0..options.scan_threads.max(1))
            .map(|number| {
                let work = Arc::clone(&work);
                std::thread::Builder::new()
                    .name(format!("andiron-scan-{number}"))
                    .spawn(move || {
                        loop {
                            // Whoever holds the lock waits for work; the others wait for the lock.
                            let next = work.lock().blocking_recv();
                            let Some(next) = next else { break };
                            if catch_unwind(AssertUnwindSafe(next)).is_err() {
                                tracing::error!("a query panicked");
                            }
                        }
                    })
                    .map_err(|source| StoreError::Driver {
                        doing: "starting scan threads",
                        source: Box::new(source),
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            threads: Mutex::new(threads),
        })
    }

    /// Runs something on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move || {
            // Nobody need be listening any more.
            let _ = reply.send(work());
        });
        {
            let queue = self.queue.lock();
            match queue.as_ref().ok_or(EngineError::Closed)?.try_send(work) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(EngineError::Closed),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err(EngineError::Busy {
                        what: "too many large queries",
                        retry_after_seconds: 1,
                    });
                }
            }
        }
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Finishes what waits, then ends the threads.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().take());
        for thread in self.threads.lock().drain(..) {
            // A panic there was caught and logged.
            let _ = thread.join();
        }
    }
}
