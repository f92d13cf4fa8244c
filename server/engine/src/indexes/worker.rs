//! Builds and drops indexes in the background, on a thread of its own.
//!
//! An index comes in three steps: it is created, and from then on commits maintain it; documents from before are added
//! bit by bit ([`Build`]); it is declared complete, and from then on queries use it. It goes in two: it is retired, and
//! no query that begins then uses it; it is dropped. After each step the [`IndexSet`] that follows is published, on the
//! writer's thread where the step changed what commits must maintain, so that the next group is applied with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use andiron_protocol::{InputError, Timestamp};
use andiron_store::{Group, IndexDefinition, IndexId, IndexState, StoredIndex};
use parking_lot::Mutex;

use super::builder::{Build, count_documents};
use super::file::{check_definition, describe_definition};
use super::manager::{Message, Progress, Reply, State};
use super::record::{self, Record};
use super::shapes::Shapes;
use super::{IndexPolicy, IndexSet};
use crate::EngineError;
use crate::committer::{AfterFinish, Committer};
use crate::engine::Shared;

/// How often unused indexes are looked for when nothing else happens.
const INTERVAL: Duration = Duration::from_secs(60);
/// An index that was used so lately does not make room for another.
const RECENTLY: Duration = Duration::from_secs(600);
/// How long a build waits when too many commits do.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Use is written down when it is this much later than what was written last; less where indexes go earlier.
const WRITTEN_INTERVAL: Duration = Duration::from_secs(3600);
/// What share of the time that an index may go unused its written use may lag behind.
const WRITTEN_LAG_DIVISOR: u32 = 8;

/// What runs on the thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    committer: Arc<Committer>,
    state: Arc<Mutex<State>>,
    /// An index of which nothing is known counts as used when the engine was opened.
    begun: Timestamp,
    shapes: Shapes,
    builds: VecDeque<Build>,
    settling: Vec<Reply<()>>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, committer: Arc<Committer>, state: Arc<Mutex<State>>) -> Self {
        Self {
            begun: (shared.surroundings.now)(),
            shared,
            committer,
            state,
            shapes: Shapes::default(),
            builds: VecDeque::new(),
            settling: Vec::new(),
        }
    }

    /// Works until nobody can send messages any more.
    pub(super) fn run(&mut self, messages: &Receiver<Message>) {
        self.note("taking up the indexes", |worker| worker.begin());
        loop {
            let received = if self.builds.is_empty() {
                for reply in self.settling.drain(..) {
                    // Nobody need be listening any more.
                    let _ = reply.send(Ok(()));
                }
                messages.recv_timeout(INTERVAL)
            } else {
                messages.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
            };
            match received {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.builds.is_empty() {
                self.note("looking after the indexes", |worker| worker.tidy());
            }
            self.step();
        }
        self.note("writing down which indexes were used", |worker| {
            worker.write_records(Duration::ZERO)
        });
    }

    /// Does something that may be put off if it fails.
    fn note<T>(&mut self, doing: &str, work: impl FnOnce(&mut Self) -> Result<T, EngineError>) -> Option<T> {
        match work(self) {
            Ok(done) => Some(done),
            // The engine is closing: whatever it is will be done when it is opened again.
            Err(EngineError::Closed) => None,
            Err(error) => {
                tracing::warn!(%error, doing, "indexes: something was put off");
                None
            }
        }
    }

    fn handle(&mut self, message: Message) {
        // Nobody need be listening to the answers any more.
        match message {
            Message::Observed {
                definitions,
                reads,
                returned,
            } => {
                self.note("considering an index", |worker| {
                    worker.consider(&definitions, reads, returned)
                });
            }
            Message::Create(definition, reply) => {
                let _ = reply.send(self.create_pinned(definition));
            }
            Message::Drop(id, reply) => {
                let _ = reply.send(self.drop_asked(id));
            }
            Message::Settle(reply) => self.settling.push(reply),
        }
    }

    /// Goes on where the last engine over this store left off, and makes a fixed set of indexes true.
    fn begin(&mut self) -> Result<(), EngineError> {
        let existing: Vec<StoredIndex> = self.shared.indexes.load().iter().cloned().collect();
        let mut kept = existing.clone();
        if let IndexPolicy::Fixed(definitions) = self.shared.options.indexes.clone() {
            let (fixed, others): (Vec<_>, Vec<_>) = existing
                .into_iter()
                .partition(|index| definitions.contains(&index.definition));
            self.drop_indexes(&others.iter().map(|index| index.id).collect::<Vec<_>>())?;
            for definition in definitions {
                if !fixed.iter().any(|index| index.definition == definition) {
                    self.create(definition)?;
                }
            }
            kept = fixed;
        }
        for index in kept {
            if index.state == IndexState::Building {
                self.begin_build(index.id, index.definition)?;
            }
        }
        let indexes = self.shared.indexes.load_full();
        let orphans: Vec<_> = {
            let state = self.state.lock();
            let is_gone = |id: &IndexId| indexes.iter().all(|index| index.id != *id);
            state
                .records
                .keys()
                .filter(|id| is_gone(id))
                .map(|id| (*id, None))
                .collect()
        };
        self.write(&orphans)
    }

    /// Adds a query to its shape, and builds the index that the shape needs if it is worth it.
    fn consider(
        &mut self,
        definitions: &[IndexDefinition],
        reads: u64,
        returned: u64,
    ) -> Result<(), EngineError> {
        let IndexPolicy::Adaptive {
            per_collection_max, ..
        } = self.shared.options.indexes
        else {
            return Ok(());
        };
        let indexes = self.shared.indexes.load_full();
        let existing = |definition: &IndexDefinition| {
            let mut existing = indexes.of_collection(&definition.collection).iter();
            existing.find(|index| index.definition == *definition)
        };
        let is_unfinished = |definition: &IndexDefinition| {
            existing(definition).is_some_and(|index| index.state == IndexState::Building)
        };
        // What it reads when that is complete is not known yet.
        if definitions.iter().any(is_unfinished) {
            return Ok(());
        }
        let Some(missing) = definitions
            .iter()
            .find(|definition| existing(definition).is_none())
        else {
            return Ok(());
        };
        if !self.shapes.add(missing, reads, returned) {
            return Ok(());
        }
        let of_collection = indexes.of_collection(&missing.collection);
        let adaptive: Vec<&StoredIndex> = of_collection
            .iter()
            .filter(|index| !self.is_pinned(index.id))
            .collect();
        if adaptive.len() >= per_collection_max {
            let least_used = adaptive
                .iter()
                .filter(|index| index.state == IndexState::Ready)
                .map(|index| (self.last_used(index.id, &indexes), index.id))
                .min();
            match least_used {
                Some((last_used, id)) if self.age(last_used) >= RECENTLY => self.drop_indexes(&[id])?,
                _ => return Ok(()),
            }
        }
        tracing::info!(index = %describe_definition(missing), "an index will be built for a query that reads too much");
        self.shapes.forget(missing);
        self.create(missing.clone())?;
        Ok(())
    }

    fn create_pinned(&mut self, definition: IndexDefinition) -> Result<IndexId, EngineError> {
        check_definition(&definition)?;
        if matches!(self.shared.options.indexes, IndexPolicy::Fixed(_)) {
            return Err(InputError::new(
                "the indexes are fixed by the project's file: add the index there and start the server anew",
            )
            .into());
        }
        let indexes = self.shared.indexes.load_full();
        let existing = indexes.of_collection(&definition.collection).iter();
        let existing = existing.into_iter().find(|index| index.definition == definition);
        let id = match existing {
            Some(index) => index.id,
            None => self.create(definition)?,
        };
        let record = Record {
            last_used: (self.shared.surroundings.now)(),
            is_pinned: true,
        };
        self.write(&[(id, Some(record))])?;
        Ok(id)
    }

    fn drop_asked(&mut self, id: IndexId) -> Result<(), EngineError> {
        if self.shared.indexes.load().iter().all(|index| index.id != id) {
            return Err(InputError::new(format!("there is no index {}", id.0)).into());
        }
        if matches!(self.shared.options.indexes, IndexPolicy::Fixed(_)) {
            return Err(InputError::new(
                "the indexes are fixed by the project's file: take the index out there and start the server anew",
            )
            .into());
        }
        self.drop_indexes(&[id])
    }

    fn create(&mut self, definition: IndexDefinition) -> Result<IndexId, EngineError> {
        let (tell, told) = std::sync::mpsc::channel();
        let created = definition.clone();
        self.change(move |group| {
            let id = group.create_index(&created)?;
            // The receiver waits until this group is finished.
            let _ = tell.send(id);
            Ok(())
        })?;
        let id = told.recv().map_err(|_| EngineError::Closed)?;
        self.begin_build(id, definition)?;
        Ok(id)
    }

    fn begin_build(&mut self, id: IndexId, definition: IndexDefinition) -> Result<(), EngineError> {
        let documents_total =
            count_documents(self.shared.store.snapshot()?.as_ref(), &definition.collection)?;
        let progress = Progress {
            documents_done: 0,
            documents_total,
        };
        self.state.lock().progress.insert(id, progress);
        self.builds.push_back(Build::new(id, definition));
        Ok(())
    }

    /// Does the next step of the first build.
    fn step(&mut self) {
        let Some(build) = self.builds.pop_front() else {
            return;
        };
        let id = build.id;
        let index = describe_definition(&build.definition);
        // The closure has it only while it runs, so it is not lost if the writer has no room for it.
        let build = Arc::new(Mutex::new(build));
        match self.try_step(&build) {
            Ok(is_done) => {
                let mut state = self.state.lock();
                if is_done {
                    state.progress.remove(&id);
                    tracing::info!(index, "an index is complete");
                    return;
                }
                if let Some(progress) = state.progress.get_mut(&id) {
                    progress.documents_done = build.lock().documents_done.min(progress.documents_total);
                }
            }
            // Commits go first.
            Err(EngineError::Busy { .. }) => std::thread::sleep(BUSY_PAUSE),
            Err(EngineError::Closed) => return,
            Err(error) => {
                // It stays as it is, unused, and is built when the store is opened again.
                tracing::warn!(%error, index, "an index could not be built");
                self.state.lock().progress.remove(&id);
                return;
            }
        }
        if let Some(build) = Arc::into_inner(build) {
            self.builds.push_front(build.into_inner());
        }
    }

    /// One step; says whether the index is complete.
    fn try_step(&self, build: &Arc<Mutex<Build>>) -> Result<bool, EngineError> {
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&self.shared);
        let build = Arc::clone(build);
        let done = self.committer.maintain(Box::new(move |group| {
            let mut build = build.lock();
            let is_done = build.step(group)?;
            let after: AfterFinish = if is_done {
                group.finish_index(build.id)?;
                publisher(shared, group)?
            } else {
                Box::new(|| {})
            };
            // The receiver waits until this group is finished.
            let _ = tell.send(is_done);
            Ok(after)
        }))?;
        done.blocking_recv().map_err(|_| EngineError::Closed)??;
        told.recv().map_err(|_| EngineError::Closed)
    }

    fn drop_indexes(&mut self, ids: &[IndexId]) -> Result<(), EngineError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.builds.retain(|build| !ids.contains(&build.id));
        self.shared.indexes.rcu(|indexes| indexes.retiring(ids));
        let dropped = ids.to_vec();
        self.change(move |group| {
            for id in dropped {
                group.drop_index(id)?;
            }
            Ok(())
        })?;
        let mut gone = Vec::new();
        {
            let mut state = self.state.lock();
            for id in ids {
                state.progress.remove(id);
                if state.records.contains_key(id) {
                    gone.push((*id, None));
                }
            }
        }
        self.write(&gone)
    }

    /// Changes the store's indexes in a group of its own, and publishes the set that follows.
    fn change(
        &self,
        work: impl FnOnce(&mut dyn Group) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let shared = Arc::clone(&self.shared);
        let done = self.committer.maintain(Box::new(move |group| {
            work(group)?;
            publisher(shared, group)
        }))?;
        done.blocking_recv().map_err(|_| EngineError::Closed)?
    }

    /// Drops what has not been used for long, and writes down what has been used.
    fn tidy(&mut self) -> Result<(), EngineError> {
        let IndexPolicy::Adaptive { unused_max, .. } = self.shared.options.indexes else {
            return Ok(());
        };
        let indexes = self.shared.indexes.load_full();
        let unused: Vec<_> = indexes
            .iter()
            .filter(|index| index.state == IndexState::Ready && !self.is_pinned(index.id))
            .filter(|index| self.age(self.last_used(index.id, &indexes)) > unused_max)
            .collect();
        for index in &unused {
            tracing::info!(index = %describe_definition(&index.definition), "an index is dropped: no query has used it for long");
        }
        self.drop_indexes(&unused.iter().map(|index| index.id).collect::<Vec<_>>())?;
        self.write_records(WRITTEN_INTERVAL.min(unused_max / WRITTEN_LAG_DIVISOR))
    }

    fn is_pinned(&self, id: IndexId) -> bool {
        self.state
            .lock()
            .records
            .get(&id)
            .is_some_and(|record| record.is_pinned)
    }

    fn last_used(&self, id: IndexId, indexes: &IndexSet) -> Timestamp {
        let written = self.state.lock().records.get(&id).map(|record| record.last_used);
        let known = indexes.readable_by_id(id).and_then(|index| index.last_used());
        written.max(known).unwrap_or(self.begun)
    }

    fn age(&self, moment: Timestamp) -> Duration {
        let micros = (self.shared.surroundings.now)()
            .as_micros()
            .saturating_sub(moment.as_micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    /// Writes down the use of indexes whose record is older than that by more than `lag`.
    fn write_records(&mut self, lag: Duration) -> Result<(), EngineError> {
        let indexes = self.shared.indexes.load_full();
        let mut changes = Vec::new();
        {
            let state = self.state.lock();
            for index in indexes.iter() {
                let Some(last_used) = indexes
                    .readable_by_id(index.id)
                    .and_then(|index| index.last_used())
                else {
                    continue;
                };
                let record = state.records.get(&index.id);
                let written = record.map_or(0, |record| record.last_used.as_micros());
                let later = last_used.as_micros().saturating_sub(written);
                if later > i64::try_from(lag.as_micros()).unwrap_or(i64::MAX) {
                    let is_pinned = record.is_some_and(|record| record.is_pinned);
                    changes.push((index.id, Some(Record { last_used, is_pinned })));
                }
            }
        }
        self.write(&changes)
    }

    fn write(&mut self, changes: &[(IndexId, Option<Record>)]) -> Result<(), EngineError> {
        if changes.is_empty() {
            return Ok(());
        }
        let body = record::commit_body(changes)?;
        crate::commit::commit_blocking(&self.shared, &self.committer, body)?;
        let mut state = self.state.lock();
        for (id, record) in changes {
            match record {
                Some(record) => state.records.insert(*id, *record),
                None => state.records.remove(id),
            };
        }
        Ok(())
    }
}

/// Publishes the indexes as a group leaves them, once it is finished.
fn publisher(shared: Arc<Shared>, group: &mut dyn Group) -> Result<AfterFinish, EngineError> {
    let stored = group.snapshot().indexes()?;
    Ok(Box::new(move || {
        shared.indexes.rcu(|indexes| indexes.following(stored.clone()));
    }))
}
