//! Live queries: whoever listens is taken from each version of a result to the next.
//!
//! A [`LiveConnection`] has many listens and one queue. One thread, the [`feed`], follows the change log: for each step it
//! reads what has become of documents ([`changes`]), finds the [`view`]s that this may concern ([`matcher`]), asks each what
//! it means for its result (and its [`window`]), and puts the [`event`] into the [`queue`]s of all who see that view. Results are first computed,
//! or continued by a resume [`token`], on threads of their own ([`start`]), and join the feed at its version. Steps come no faster
//! than they are taken ([`pace`]). Beside results, the whole log can be followed ([`change_feed`]).
//!
//! Invariants: a state that was told is the query's result at its version as the caller's rules allow it; over all listens
//! of a connection versions never go back; a commit is told whole or not yet. Writers wait for nobody here: they say that
//! there is something new and go on. Left out: sockets and frames, and who a caller is.

#[cfg(feature = "simulation")]
mod by_hand;
mod change_feed;
mod changes;
mod event;
mod feed;
mod inbox;
mod matcher;
mod pace;
mod queue;
mod start;
mod token;
mod view;
mod watchers;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use andiron_protocol::DocumentPath;
use andiron_store::StoreError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::feed::Feed;
use self::inbox::{Command, Renumbered};
use self::queue::{Queue, Queued, Taken};
use self::start::StartJob;
use crate::committer::Committer;
use crate::engine::Shared;
use crate::indexes::IndexManager;
use crate::{Caller, Engine, EngineError};

#[cfg(feature = "simulation")]
pub use self::by_hand::LiveHand;
pub use self::change_feed::{ChangeFeed, ChangePart};
pub use self::event::SharedChanges;
pub use self::queue::{LiveChanges, LiveMessage};
pub use self::token::ResumeToken;
pub use self::view::LiveTarget;

pub(crate) use self::inbox::Inbox;

/// The feed's thread and those that begin listens.
pub(crate) struct LiveThreads {
    inbox: Arc<Inbox>,
    last_connection: AtomicU64,
    last_listen: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl LiveThreads {
    pub(crate) fn start(
        shared: Arc<Shared>,
        manager: Arc<IndexManager>,
        committer: Arc<Committer>,
    ) -> Result<Self, EngineError> {
        let inbox = Arc::clone(&shared.live);
        let mut threads = Vec::new();
        let feed = Feed::new(Arc::clone(&shared), Arc::clone(&manager));
        threads.push(spawn("andiron-live".to_owned(), move || feed.run())?);
        for number in 0..shared.options.live.start_threads.max(1) {
            let (shared, manager) = (Arc::clone(&shared), Arc::clone(&manager));
            let committer = Arc::clone(&committer);
            threads.push(spawn(format!("andiron-listen-{number}"), move || {
                begin_listens(&shared, &manager, &committer);
            })?);
        }
        let started = Self::without_threads(inbox);
        *started.threads.lock() = threads;
        Ok(started)
    }

    /// None: what they would do is done by somebody else.
    pub(crate) fn without_threads(inbox: Arc<Inbox>) -> Self {
        Self {
            inbox,
            last_connection: AtomicU64::new(0),
            last_listen: AtomicU64::new(0),
            threads: Mutex::default(),
        }
    }

    /// Ends all listens and the threads. Blocks until they have stopped.
    pub(crate) fn close(&self) {
        self.inbox.close();
        for thread in self.threads.lock().drain(..) {
            // A panic there was caught and logged.
            let _ = thread.join();
        }
    }
}

impl Drop for LiveThreads {
    fn drop(&mut self) {
        // Not joined: it may be one of them that drops it.
        self.inbox.close();
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    let spawned = std::thread::Builder::new().name(name).spawn(work);
    spawned.map_err(|source| {
        let doing = "starting a thread for live queries";
        let source = Box::new(source);
        StoreError::Driver { doing, source }.into()
    })
}

fn begin_listens(shared: &Arc<Shared>, manager: &IndexManager, committer: &Committer) {
    let inbox = &shared.live;
    let mut left = None;
    while let Some(job) = left.take().or_else(|| inbox.wait_for_job()) {
        left = begin_next(shared, manager, committer, job, &|| inbox.next_job());
    }
}

/// Begins a listen, and more of those that `next` gives; what is left is one that was given and not begun.
fn begin_next(
    shared: &Arc<Shared>,
    manager: &IndexManager,
    committer: &Committer,
    job: StartJob,
    next: &dyn Fn() -> Option<StartJob>,
) -> Option<StartJob> {
    let mut tell = |started| {
        // A feed that has ended ends who begins listens too.
        let _ = shared.live.tell(Command::Begun(Box::new(started)));
    };
    match token::secret(shared, committer) {
        Ok(secret) => start::begin_round(shared, manager, &secret, job, next, &mut tell),
        Err(error) => {
            tell(job.started(Err(error)));
            None
        }
    }
}

impl Engine {
    /// A connection that can listen. Its listens end with it.
    pub fn live(&self) -> LiveConnection {
        self.shared.metrics.live_connections.inc();
        LiveConnection {
            id: self.live.last_connection.fetch_add(1, Ordering::Relaxed) + 1,
            queue: Arc::new(Queue::new(
                self.shared.options.live.queue_bytes_max,
                Arc::clone(&self.shared.live.pace),
            )),
            engine: self.clone(),
            listens: Mutex::default(),
        }
    }

    /// Wakes whoever waits for a change of one of these documents, which may be of system collections.
    pub fn watch(&self, paths: Vec<DocumentPath>) -> DocumentWatch {
        let changed = Arc::new(Notify::new());
        let watcher = Arc::clone(&changed);
        // A feed that has ended has nothing to tell.
        let _ = self.shared.live.tell(Command::Watch {
            paths,
            changed: watcher,
        });
        DocumentWatch { changed }
    }
}

/// A watch on some documents; see [`Engine::watch`].
#[derive(Debug)]
pub struct DocumentWatch {
    changed: Arc<Notify>,
}

impl DocumentWatch {
    /// Waits until one of the documents may have changed since the last time, or since the watch began. It may be
    /// mistaken, but never misses a change.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The listens of one client, and the queue of what it is to be told.
pub struct LiveConnection {
    id: u64,
    queue: Arc<Queue>,
    engine: Engine,
    /// By the client's numbers.
    listens: Mutex<HashMap<u64, Numbered>>,
}

/// A listen as its connection knows it.
struct Numbered {
    /// The engine's number of it, and the first that it had.
    number: u64,
    first: u64,
    /// The state that was taken last; none if there was none, or if a part of a step was taken since.
    reached: Option<ResumeToken>,
}

impl LiveConnection {
    /// Begins to listen, under a number of the client's. With the text of a resume token it goes on from there if it can;
    /// whatever is no such token makes it begin anew. What comes of it is told by [`LiveConnection::next`], its failure
    /// included.
    ///
    /// # Errors
    /// If the number is in use, or there are too many listens.
    pub fn listen(
        &self,
        listen: u64,
        caller: &Caller,
        target: LiveTarget,
        resume: Option<&str>,
    ) -> Result<(), EngineError> {
        let shared = &self.engine.shared;
        let limits = &shared.options.live;
        let mut listens = self.listens.lock();
        if listens.contains_key(&listen) {
            let detail = format!("there is a listen with the id {listen} already; end it first");
            return Err(andiron_protocol::InputError::new(detail).in_field("id").into());
        }
        if listens.len() >= limits.connection_listens_max {
            return Err(EngineError::TooManyListens {
                max: limits.connection_listens_max,
                place: "on this connection",
            });
        }
        if shared.live.listens.fetch_add(1, Ordering::Relaxed) >= limits.listens_max {
            shared.live.listens.fetch_sub(1, Ordering::Relaxed);
            return Err(EngineError::TooManyListens {
                max: limits.listens_max,
                place: "on this server",
            });
        }
        let number = self.engine.live.last_listen.fetch_add(1, Ordering::Relaxed) + 1;
        let is_told = shared.live.tell(Command::Listen {
            connection: self.id,
            queue: Arc::clone(&self.queue),
            number,
            listen,
            caller: caller.clone(),
            target,
            resume: resume.and_then(ResumeToken::read),
        });
        if !is_told {
            shared.live.listens.fetch_sub(1, Ordering::Relaxed);
            return Err(EngineError::Closed);
        }
        let numbered = Numbered {
            number,
            first: number,
            reached: None,
        };
        listens.insert(listen, numbered);
        Ok(())
    }

    /// Whether there are listens.
    pub fn is_listening(&self) -> bool {
        !self.listens.lock().is_empty()
    }

    /// Ends a listen; nothing more is told of it. One that is not there is fine.
    pub fn unlisten(&self, listen: u64) {
        if let Some(Numbered { number, .. }) = self.listens.lock().remove(&listen) {
            self.tell(Command::Unlisten { number });
        }
    }

    /// Has all listens be somebody else's from now on, or the same one's with other rights: each is told what it takes to
    /// see what that caller sees. What waits to be taken, and was found by the rights before, is told to nobody any more.
    pub fn set_caller(&self, caller: &Caller) {
        let mut listens = self.listens.lock();
        let count = listens.len() as u64;
        let mut next = self.engine.live.last_listen.fetch_add(count, Ordering::Relaxed) + 1;
        let mut in_order: Vec<_> = listens.iter_mut().collect();
        in_order.sort_unstable_by_key(|(listen, _)| **listen);
        let renumber = |(_, numbered): (&u64, &mut Numbered)| {
            let before = std::mem::replace(&mut numbered.number, next);
            next += 1;
            Renumbered {
                before,
                number: numbered.number,
                reached: numbered.reached,
            }
        };
        let listens = in_order.into_iter().map(renumber).collect();
        self.tell(Command::SetCaller {
            caller: caller.clone(),
            listens,
        });
    }

    /// Takes back what was taken but does not reach the client, because the caller's rights turned out to have changed:
    /// what is left are the ends of listens. To be called before [`LiveConnection::set_caller`].
    pub fn retract(&self, messages: &mut Vec<LiveMessage>) {
        let mut listens = self.listens.lock();
        messages.retain(|message| match message {
            LiveMessage::Changes(changes) => {
                if let Some(numbered) = listens.get_mut(&changes.listen) {
                    numbered.reached = None;
                }
                false
            }
            LiveMessage::Ended { .. } => true,
        });
    }

    /// Asks for how far each listen is: each of which the client was last told of an older version gets an empty step.
    pub fn mark(&self) {
        self.tell(Command::Mark { connection: self.id });
    }

    /// Ends all listens, and gives the client's numbers of them.
    pub fn unlisten_all(&self) -> Vec<u64> {
        let ended: Vec<_> = self.listens.lock().drain().collect();
        let mut listens: Vec<_> = ended.iter().map(|(listen, _)| *listen).collect();
        listens.sort_unstable();
        for (_, Numbered { number, .. }) in ended {
            self.tell(Command::Unlisten { number });
        }
        listens
    }

    /// The next message; `None` once the engine is closed. Dropping the future loses nothing.
    pub async fn next(&self) -> Option<LiveMessage> {
        let messages = self.next_batch(1).await?;
        messages.into_iter().next()
    }

    /// What is there to be told, at least one message, until it is about so many bytes; `None` once the engine is closed.
    /// Dropping the future loses nothing. That everything has been taken shows in there being nothing more: whoever
    /// comes back for more has the next step begin.
    pub async fn next_batch(&self, bytes_max: usize) -> Option<Vec<LiveMessage>> {
        loop {
            if let Some(next) = self.take_batch(bytes_max) {
                return next;
            }
            self.queue.ready.notified().await;
        }
    }

    /// The next message if there is one now; the inner `None` once the engine is closed.
    pub fn take(&self) -> Option<Option<LiveMessage>> {
        let taken = self.take_batch(1)?;
        Some(taken.and_then(|messages| messages.into_iter().next()))
    }

    fn take_batch(&self, bytes_max: usize) -> Option<Option<Vec<LiveMessage>>> {
        let mut queued = Vec::new();
        loop {
            let (taken, is_awaited) = self.queue.take(bytes_max.max(1), &mut queued);
            if is_awaited {
                self.tell(Command::HasRoom { connection: self.id });
            }
            match taken {
                Taken::Nothing => return None,
                Taken::Closed => return Some(None),
                Taken::Messages => {
                    let mut listens = self.listens.lock();
                    let still_wanted = |queued: Queued| is_wanted(&mut listens, queued);
                    let messages: Vec<_> = queued.drain(..).filter_map(still_wanted).collect();
                    if !messages.is_empty() {
                        return Some(Some(messages));
                    }
                }
            }
        }
    }

    fn tell(&self, command: Command) {
        if !self.engine.shared.live.tell(command) {
            self.queue.close();
        }
    }
}

/// A message, if its listen is still wanted as it was told.
fn is_wanted(listens: &mut HashMap<u64, Numbered>, queued: Queued) -> Option<LiveMessage> {
    match &queued.message {
        LiveMessage::Changes(changes) => {
            let numbered = listens.get_mut(&changes.listen)?;
            if numbered.number != queued.number {
                return None;
            }
            numbered.reached = (!changes.more).then_some(changes.resume);
        }
        LiveMessage::Ended { listen, .. } => {
            let numbered = listens.get(listen)?;
            // It has ended whoever it was of meanwhile.
            if !(numbered.first..=numbered.number).contains(&queued.number) {
                return None;
            }
            listens.remove(listen);
        }
    }
    Some(queued.message)
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        self.engine.shared.metrics.live_connections.dec();
        self.queue.abandon();
        self.tell(Command::Leave { connection: self.id });
    }
}
