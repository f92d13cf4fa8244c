//! Threads for queries that read much, so that they never hold up the callers' threads.
//!
//! A few threads share the queries, which take bounded time. Streams have no bound: one goes on for as long as whoever
//! takes its documents wants. So each has a thread of its own, and only so many are admitted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use andiron_store::StoreError;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{EngineError, EngineOptions};

type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a bounded queue before them, and the streams' threads beside them.
pub(crate) struct ScanPool {
    queue: Mutex<Option<mpsc::Sender<Work>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    streams: Arc<AtomicUsize>,
    streams_max: usize,
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
                            guarded(next);
                        }
                    })
                    .map_err(not_started)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            threads: Mutex::new(threads),
            streams: Arc::default(),
            streams_max: options.streams_max,
        })
    }

    /// Runs something on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (work, answer) = answering(work);
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
        answer.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Runs something that may take for ever on a thread of its own.
    pub(crate) async fn run_stream<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        if self.queue.lock().is_none() {
            return Err(EngineError::Closed);
        }
        let place = Place::take(&self.streams, self.streams_max)?;
        let (work, answer) = answering(work);
        std::thread::Builder::new()
            .name("andiron-stream".to_owned())
            .spawn(move || {
                guarded(work);
                drop(place);
            })
            .map_err(not_started)?;
        answer.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Finishes the queries that wait, then ends the threads. Streams end when nobody takes their documents any more;
    /// they are not waited for.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().take());
        for thread in self.threads.lock().drain(..) {
            // A panic there was caught and logged.
            let _ = thread.join();
        }
    }
}

/// A stream's place among those that are admitted.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(streams: &Arc<AtomicUsize>, streams_max: usize) -> Result<Self, EngineError> {
        let admitted = streams.fetch_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
            (streams < streams_max).then_some(streams + 1)
        });
        match admitted {
            Ok(_) => Ok(Self(Arc::clone(streams))),
            Err(_) => Err(EngineError::Busy {
                what: "too many streams",
                retry_after_seconds: 1,
            }),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Work whose result goes back to whoever waits; if nobody does any more, it is not done.
fn answering<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> (Work, oneshot::Receiver<Result<T, EngineError>>) {
    let (reply, answer) = oneshot::channel();
    let work: Work = Box::new(move || {
        if !reply.is_closed() {
            // Nobody need be listening any more.
            let _ = reply.send(work());
        }
    });
    (work, answer)
}

fn guarded(work: Work) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a query panicked");
    }
}

fn panicked() -> EngineError {
    StoreError::Driver {
        doing: "running a query",
        source: "it panicked".into(),
    }
    .into()
}

fn not_started(source: std::io::Error) -> StoreError {
    StoreError::Driver {
        doing: "starting a thread for queries",
        source: Box::new(source),
    }
}
