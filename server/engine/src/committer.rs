//! The one writer: drains what waits, applies it as one group, syncs once, answers all.
//!
//! A commit comes prepared from the caller's thread. When what it read has changed meanwhile, the writer prepares it
//! again on the group's own state, where nothing can change any more; so a commit is prepared twice at most, however
//! hot its documents are. Nothing is answered before the group is durable. After a sync that failed the writer stops
//! for good: nobody knows what is on the disk.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use andiron_protocol::{Timestamp, Version};
use andiron_store::{Commit, CommitOutcome, Group, Snapshot, StoreError, StoredDocument};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::EngineError;
use crate::cache::ClosedShards;
use crate::commit::Committed;
use crate::engine::Shared;
use crate::indexes::IndexSet;
use crate::rules::RulesInForce;

/// Bytes of documents that one group takes at most, unless a single commit has more.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often the writer lets other threads go first before it begins a group, as long as that brings more commits. When
/// the processors are busy that is what makes groups large and syncs few; when they are not, it costs one call.
const GROUP_YIELDS_MAX: usize = 4;

/// A commit as it was prepared against some state.
pub(crate) enum Prepared {
    /// To be applied.
    Commit {
        /// What the store checks and writes.
        commit: Commit,
        /// Which set of indexes its entries are for.
        index_epoch: u64,
        /// The rules that let it through, if its caller does not pass all of them.
        judged_by: Option<Arc<RulesInForce>>,
        /// Bytes of documents in it, for the bound of a group.
        bytes: usize,
        /// The time of the request: the commit's version is never before it.
        request_time: Timestamp,
        /// Makes the answer once the version is known.
        answer: Box<dyn FnOnce(Version) -> Committed + Send>,
    },
    /// The same request was answered before.
    Replay(Committed),
}

/// Prepares a commit against a state, by these rules; called again on the writer's thread after a conflict, or where other
/// rules or indexes have come meanwhile.
pub(crate) type Prepare =
    Box<dyn Fn(&dyn Snapshot, &IndexSet, Option<&Arc<RulesInForce>>) -> Result<Prepared, EngineError> + Send>;

/// Work on the store beside commits (building indexes, trimming the log) in a group of its own. What it returns runs
/// on the writer's thread once the group is durable, before the next commit is applied.
pub(crate) type Maintenance = Box<dyn FnOnce(&mut dyn Group) -> Result<AfterFinish, EngineError> + Send>;
/// See [`Maintenance`].
pub(crate) type AfterFinish = Box<dyn FnOnce() + Send>;

enum Job {
    Commit {
        prepared: Prepared,
        prepare: Prepare,
        reply: Reply<Committed>,
    },
    Maintenance {
        run: Maintenance,
        reply: Reply<()>,
    },
}

type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// The writer's thread and the way to it.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// Bytes of documents in the queue.
    queued_bytes: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, EngineError> {
        let (queue, jobs) = mpsc::channel(shared.options.commit_queue_max);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Writer {
            shared: Arc::clone(&shared),
            queued_bytes: Arc::clone(&queued_bytes),
            stopped: AtomicBool::new(false),
        };
        let thread = std::thread::Builder::new()
            .name("andiron-writer".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(|source| StoreError::Driver {
                doing: "starting the writer",
                source: Box::new(source),
            })?;
        Ok(Self {
            shared,
            queue: Mutex::new(Some(queue)),
            queued_bytes,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has a prepared commit applied; the answer comes when it is durable.
    pub(crate) async fn commit(
        &self,
        prepared: Prepared,
        prepare: Prepare,
    ) -> Result<Committed, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit {
            prepared,
            prepare,
            reply,
        })?;
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    /// The same for threads that may block.
    pub(crate) fn commit_blocking(
        &self,
        prepared: Prepared,
        prepare: Prepare,
    ) -> Result<Committed, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit {
            prepared,
            prepare,
            reply,
        })?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closed))
    }

    /// Has maintenance done in a group of its own. The answer may be awaited or blocked on.
    pub(crate) fn maintain(
        &self,
        run: Maintenance,
    ) -> Result<oneshot::Receiver<Result<(), EngineError>>, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Maintenance { run, reply })?;
        Ok(answer)
    }

    /// Whether jobs are still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.queue.lock().is_some()
    }

    /// Jobs in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.queue
            .lock()
            .as_ref()
            .map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Lets the writer finish what waits and stop. Blocks until it has.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // A writer that panicked outside of its guard has dropped its jobs, so there is nothing left to report.
            let _ = thread.join();
        }
    }

    fn send(&self, job: Job) -> Result<(), EngineError> {
        let busy = || EngineError::Busy {
            what: "too many writes",
            retry_after_seconds: 1,
        };
        let queue = self.queue.lock();
        let queue = queue.as_ref().ok_or(EngineError::Closed)?;
        let bytes = job.bytes();
        if bytes > 0 && self.queued_bytes.load(Ordering::Relaxed) > self.shared.options.commit_queue_bytes_max
        {
            return Err(busy());
        }
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        queue.try_send(job).map_err(|error| {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Closed(_) => EngineError::Closed,
                mpsc::error::TrySendError::Full(_) => busy(),
            }
        })
    }
}

struct Writer {
    shared: Arc<Shared>,
    queued_bytes: Arc<AtomicUsize>,
    /// Set when a sync failed.
    stopped: AtomicBool,
}

/// A commit that is part of the group under way.
struct Pending {
    answer: Box<dyn FnOnce(Version) -> Committed + Send>,
    version: Version,
    commit: Commit,
    reply: Reply<Committed>,
}

impl Writer {
    fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting: Vec<Job> = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            waiting.push(first);
            let mut bytes = waiting.iter().map(Job::bytes).sum::<usize>();
            let mut yields = 0;
            let mut before_yield = 0;
            while waiting.len() < self.shared.options.group_commits_max && bytes < GROUP_BYTES_MAX {
                match jobs.try_recv() {
                    Ok(job) => {
                        bytes += job.bytes();
                        waiting.push(job);
                    }
                    Err(_) if waiting.len() > before_yield && yields < GROUP_YIELDS_MAX => {
                        before_yield = waiting.len();
                        yields += 1;
                        std::thread::yield_now();
                    }
                    Err(_) => break,
                }
            }
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared
                .metrics
                .commit_queue
                .set(i64::try_from(jobs.len()).unwrap_or(i64::MAX));
            self.process(&mut waiting);
        }
    }

    /// Commits up to the next maintenance form one group; maintenance is a group of its own.
    fn process(&self, waiting: &mut Vec<Job>) {
        let mut commits = Vec::new();
        for job in waiting.drain(..) {
            match job {
                Job::Commit {
                    prepared,
                    prepare,
                    reply,
                } => commits.push((prepared, prepare, reply)),
                Job::Maintenance { run, reply } => {
                    self.guarded(|| self.commit_group(std::mem::take(&mut commits)));
                    self.guarded(|| {
                        // Nobody need be listening any more.
                        let _ = reply.send(self.maintain(run));
                    });
                }
            }
        }
        self.guarded(|| self.commit_group(std::mem::take(&mut commits)));
    }

    /// A panic undoes its group, whose callers see their answers dropped; the writer lives on.
    fn guarded(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!("the writer panicked; the group was rolled back");
        }
    }

    fn commit_group(&self, jobs: Vec<(Prepared, Prepare, Reply<Committed>)>) {
        if jobs.is_empty() {
            return;
        }
        if self.stopped.load(Ordering::Acquire) {
            return reply_all(jobs.into_iter().map(|(_, _, reply)| reply), &EngineError::Closed);
        }
        let mut group = match self.shared.store.begin() {
            Ok(group) => group,
            Err(error) => return reply_all(jobs.into_iter().map(|(_, _, reply)| reply), &self.failed(error)),
        };
        let indexes = self.shared.indexes.load();
        let mut pending = Vec::with_capacity(jobs.len());
        let mut decided = Vec::new();
        let mut jobs = jobs.into_iter();
        while let Some((prepared, prepare, reply)) = jobs.next() {
            match self.apply(group.as_mut(), &indexes, prepared, &prepare) {
                Ok(Ok((answer, version, commit))) => pending.push(Pending {
                    answer,
                    version,
                    commit,
                    reply,
                }),
                Ok(Err(committed)) => decided.push((Ok(committed), reply)),
                Err(EngineError::Store(error)) => {
                    // The driver failed, so the group is lost with everybody in it.
                    drop(group);
                    let error = self.failed_shared(error);
                    let replies = pending.into_iter().map(|pending| pending.reply).chain([reply]);
                    let replies = replies.chain(decided.into_iter().map(|(_, reply)| reply));
                    return reply_all(replies.chain(jobs.map(|(_, _, reply)| reply)), &error);
                }
                // Only this commit is refused; it has changed nothing.
                Err(refused) => decided.push((Err(refused), reply)),
            }
        }
        self.finish(group, pending, decided);
    }

    /// Applies one commit, prepared anew if what it was prepared against has changed. The inner error is an answer that
    /// was given before.
    #[expect(clippy::type_complexity, reason = "used once; a named type would say no more")]
    fn apply(
        &self,
        group: &mut dyn Group,
        indexes: &IndexSet,
        mut prepared: Prepared,
        prepare: &Prepare,
    ) -> Result<Result<(Box<dyn FnOnce(Version) -> Committed + Send>, Version, Commit), Committed>, EngineError>
    {
        // From here on it is these rules, whatever comes into force meanwhile.
        let rules = self.shared.rules.load_full();
        let are_in_force = |judged_by: &Option<Arc<RulesInForce>>| match (judged_by, &rules) {
            (None, _) => true,
            (Some(judged_by), Some(rules)) => Arc::ptr_eq(judged_by, rules),
            (Some(_), None) => false,
        };
        let mut is_fresh = false;
        loop {
            let (commit, index_epoch, judged_by, request_time, answer) = match prepared {
                Prepared::Commit {
                    commit,
                    index_epoch,
                    judged_by,
                    request_time,
                    answer,
                    ..
                } => (commit, index_epoch, judged_by, request_time, answer),
                Prepared::Replay(committed) => return Ok(Err(committed)),
            };
            let conflict = if index_epoch == indexes.epoch() && are_in_force(&judged_by) {
                let last = group.last_version();
                let version = last.next((self.shared.surroundings.now)().max(request_time));
                match group.apply(&commit, version)? {
                    // A commit that only verifies writes nothing and takes no version of its own.
                    CommitOutcome::Applied if commit.writes.is_empty() => {
                        return Ok(Ok((answer, last, commit)));
                    }
                    CommitOutcome::Applied => return Ok(Ok((answer, version, commit))),
                    // Which changes count is for the rules to say, when it is prepared again.
                    CommitOutcome::QueryConflict(_) if judged_by.is_some() && !is_fresh => None,
                    CommitOutcome::QueryConflict(index) => {
                        return Err(EngineError::Aborted {
                            detail: format!("the result of query {} has changed", index + 1),
                            path: None,
                        });
                    }
                    CommitOutcome::Conflict(path) => Some(path),
                }
            } else {
                None
            };
            if is_fresh {
                // It was prepared on the very state that it was applied to.
                return Err(EngineError::Aborted {
                    detail: "the commit conflicts with itself".to_owned(),
                    path: conflict,
                });
            }
            self.shared.metrics.commits_prepared_again.inc();
            prepared = prepare(group.snapshot(), indexes, rules.as_ref())?;
            is_fresh = true;
        }
    }

    /// Makes a group durable and answers everybody in it. What was decided without a change waits for that too: it may have
    /// been decided by what the group has changed.
    fn finish(
        &self,
        group: Box<dyn Group + '_>,
        pending: Vec<Pending>,
        decided: Vec<(Result<Committed, EngineError>, Reply<Committed>)>,
    ) {
        let writes = || pending.iter().flat_map(|pending| &pending.commit.writes);
        let result = if writes().next().is_some() {
            let closed = self.shared.cache.close(writes().map(|write| &write.path));
            let begin = Instant::now();
            let result = group.finish();
            if result.is_ok() {
                keep_hot(&closed, &pending);
            }
            self.shared
                .metrics
                .sync_seconds
                .observe(begin.elapsed().as_secs_f64());
            result
        } else {
            drop(group);
            Ok(())
        };
        match result {
            Ok(()) => {
                #[expect(clippy::cast_precision_loss, reason = "a group is small")]
                self.shared.metrics.group_commits.observe(pending.len() as f64);
                self.shared.metrics.commits.inc_by(pending.len() as u64);
                self.shared.live.tell_news();
                for pending in pending {
                    // Nobody need be listening any more.
                    let _ = pending.reply.send(Ok((pending.answer)(pending.version)));
                }
                for (answer, reply) in decided {
                    // Nor here.
                    let _ = reply.send(answer);
                }
            }
            Err(error) => {
                let replies = pending.into_iter().map(|pending| pending.reply);
                let replies = replies.chain(decided.into_iter().map(|(_, reply)| reply));
                reply_all(replies, &self.failed(error));
            }
        }
    }

    fn maintain(&self, run: Maintenance) -> Result<(), EngineError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(EngineError::Closed);
        }
        let work = || -> Result<AfterFinish, EngineError> {
            let mut group = self.shared.store.begin()?;
            let after = run(group.as_mut())?;
            group.finish()?;
            Ok(after)
        };
        match work() {
            Ok(after) => {
                after();
                Ok(())
            }
            Err(EngineError::Store(error)) => Err(self.failed_shared(error)),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, error: StoreError) -> EngineError {
        self.failed_shared(Arc::new(error))
    }

    fn failed_shared(&self, error: Arc<StoreError>) -> EngineError {
        tracing::error!(%error, "a group of commits failed");
        if error.is_fatal() && !self.stopped.swap(true, Ordering::AcqRel) {
            (self.shared.surroundings.on_fatal)(&error);
        }
        EngineError::Store(error)
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Commit {
                prepared: Prepared::Commit { bytes, .. },
                ..
            } => *bytes,
            Self::Commit { .. } | Self::Maintenance { .. } => 0,
        }
    }
}

/// Keeps those documents cached that were before the group, as it has left them.
fn keep_hot(closed: &ClosedShards<'_>, pending: &[Pending]) {
    if !closed.have_hot() {
        return;
    }
    let mut last = HashMap::new();
    for pending in pending {
        for write in &pending.commit.writes {
            last.insert(&write.path, (write, pending.version));
        }
    }
    for (path, (write, version)) in last {
        if let Some(data) = &write.after {
            closed.keep(path, || StoredDocument {
                path: path.clone(),
                version,
                created: write.before.as_ref().map_or(version, |before| before.created),
                data: Arc::clone(data),
            });
        }
    }
}

fn reply_all(replies: impl Iterator<Item = Reply<Committed>>, error: &EngineError) {
    for reply in replies {
        let error = match error {
            EngineError::Store(error) => EngineError::Store(Arc::clone(error)),
            _ => EngineError::Closed,
        };
        // Nobody need be listening any more.
        let _ = reply.send(Err(error));
    }
}
