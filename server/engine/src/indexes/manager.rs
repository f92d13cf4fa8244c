//! The way to the thread that builds and drops indexes, and what it shows of itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use andiron_store::{IndexDefinition, IndexId, StoreError};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::IndexPolicy;
use super::record::{self, Record};
use super::worker::Worker;
use crate::EngineError;
use crate::committer::Committer;
use crate::engine::Shared;
use crate::query::{Request, ideal_definitions};

/// Messages that may wait; an observation that finds no room is dropped, because there will be others.
const MESSAGES_MAX: usize = 1024;

/// The thread that looks after an engine's indexes, and the way to it.
pub(crate) struct IndexManager {
    messages: Mutex<Option<SyncSender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
}

/// What the thread knows and others want to see.
#[derive(Default)]
pub(super) struct State {
    pub(super) records: HashMap<IndexId, Record>,
    pub(super) progress: HashMap<IndexId, Progress>,
}

/// How far the building of an index is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) documents_done: u64,
    pub(crate) documents_total: u64,
}

/// What the thread is told or asked.
pub(super) enum Message {
    /// A query read much more than it returned.
    Observed {
        definitions: Vec<IndexDefinition>,
        reads: u64,
        returned: u64,
    },
    Create(IndexDefinition, Reply<IndexId>),
    Drop(IndexId, Reply<()>),
    /// To be answered when nothing is left to do.
    Settle(Reply<()>),
}

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

impl IndexManager {
    pub(crate) fn start(shared: Arc<Shared>, committer: Arc<Committer>) -> Result<Self, EngineError> {
        let (messages, received) = sync_channel(MESSAGES_MAX);
        let records = record::read_all(shared.store.snapshot()?.as_ref())?;
        let state = Arc::new(Mutex::new(State {
            records,
            progress: HashMap::new(),
        }));
        let mut worker = Worker::new(Arc::clone(&shared), committer, Arc::clone(&state));
        let thread = std::thread::Builder::new()
            .name("andiron-indexes".to_owned())
            .spawn(move || worker.run(&received))
            .map_err(|source| StoreError::Driver {
                doing: "starting the index thread",
                source: Box::new(source),
            })?;
        Ok(Self {
            messages: Mutex::new(Some(messages)),
            thread: Mutex::new(Some(thread)),
            shared,
            state,
        })
    }

    /// Takes note of a query that read much more than it returned.
    pub(crate) fn observe(&self, request: &Request<'_>, reads: u64, returned: u64) {
        if !matches!(self.shared.options.indexes, IndexPolicy::Adaptive { .. }) {
            return;
        }
        let definitions = ideal_definitions(request);
        if let (false, Some(messages)) = (definitions.is_empty(), self.messages.lock().as_ref()) {
            // If there is no room this one does not count.
            let _ = messages.try_send(Message::Observed {
                definitions,
                reads,
                returned,
            });
        }
    }

    /// Has an index created; the answer comes when commits maintain it, and it is built from then on.
    pub(crate) async fn create(&self, definition: IndexDefinition) -> Result<IndexId, EngineError> {
        self.ask(|reply| Message::Create(definition, reply)).await
    }

    /// Has an index dropped.
    pub(crate) async fn drop_index(&self, id: IndexId) -> Result<(), EngineError> {
        self.ask(|reply| Message::Drop(id, reply)).await
    }

    /// Waits until everything is done that was asked for or observed before.
    pub(crate) async fn settle(&self) -> Result<(), EngineError> {
        self.ask(Message::Settle).await
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        {
            let messages = self.messages.lock();
            let messages = messages.as_ref().ok_or(EngineError::Closed)?;
            messages.try_send(message(reply)).map_err(|_| EngineError::Busy {
                what: "too many changes of indexes",
                retry_after_seconds: 1,
            })?;
        }
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    /// How far the building of an index is.
    pub(crate) fn progress(&self, id: IndexId) -> Option<Progress> {
        self.state.lock().progress.get(&id).copied()
    }

    /// What is written down about an index.
    pub(crate) fn record(&self, id: IndexId) -> Option<Record> {
        self.state.lock().records.get(&id).copied()
    }

    /// Ends the thread and waits for it. What is being built goes on when the store is opened again.
    pub(crate) fn close(&self) {
        drop(self.messages.lock().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic there was logged by the panic hook; there is nothing else to do about it.
            let _ = thread.join();
        }
    }
}
