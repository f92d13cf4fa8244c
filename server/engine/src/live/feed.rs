//! The feed: one thread that follows the change log and takes everybody who listens from version to version.
//!
//! Invariant: what the feed puts into queues goes forward. One step takes all listens from the version before to that of
//! one snapshot; whoever joins or comes back does so at that version, with what has changed since its result was computed.
//! A commit lies in one step, so it is never seen in parts.
//!
//! A listen is attached to a view, or a start thread is at work on it, or it waits until its client has taken what it was
//! sent. In the last two cases nothing is told to it until it begins again, from the version that it had.
//!
//! Here is what the thread holds and what it does when it is woken. A step is in [`advance`], beginning and joining in
//! [`attach`], what a listen may see in [`rights`], queues in [`delivery`].

mod advance;
mod attach;
mod delivery;
mod rights;

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use andiron_protocol::{DocumentPath, Version};

use self::attach::Deltas;
use super::inbox::{Command, ConnectionId, Inbox};
use super::matcher::{Matcher, ViewId};
use super::pace::Steps;
use super::queue::Queue;
use super::start::From;
use super::token::ListenDigest;
use super::view::{LiveTarget, State, View, ViewKey};
use super::watchers::Watchers;
use crate::engine::Shared;
use crate::indexes::IndexManager;
use crate::query::with_view;
use crate::rules::RulesInForce;
use crate::{Caller, EngineError};

/// The thread's own.
pub(super) struct Feed {
    shared: Arc<Shared>,
    manager: Arc<IndexManager>,
    /// All that is attached is at this version.
    version: Version,
    rules: Option<Arc<RulesInForce>>,
    connections: HashMap<ConnectionId, Connection>,
    /// By their numbers, so that they are gone through in the order in which they came.
    listens: BTreeMap<u64, Listen>,
    views: HashMap<ViewId, Shown>,
    keys: HashMap<ViewKey, ViewId>,
    last_view: ViewId,
    matcher: Matcher,
    /// Listens that rest on a document beside those of their results.
    dependents: HashMap<DocumentPath, Vec<u64>>,
    watchers: Watchers,
}

struct Connection {
    queue: Arc<Queue>,
    listens: Vec<u64>,
}

/// A view with those who see it.
struct Shown {
    view: View,
    key: Option<ViewKey>,
    listens: Vec<u64>,
}

struct Listen {
    connection: ConnectionId,
    /// The client's number.
    listen: u64,
    caller: Caller,
    target: LiveTarget,
    digest: ListenDigest,
    ticket: u64,
    phase: Phase,
    looked_up: Vec<DocumentPath>,
    /// The version of which the client was last told.
    told: Version,
}

enum Phase {
    Beginning,
    Attached(ViewId),
    /// Until there is room in the queue.
    Waiting(From),
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>, manager: Arc<IndexManager>) -> Self {
        Self {
            shared,
            manager,
            version: Version::ZERO,
            rules: None,
            connections: HashMap::new(),
            listens: BTreeMap::new(),
            views: HashMap::new(),
            keys: HashMap::new(),
            last_view: 0,
            matcher: Matcher::default(),
            dependents: HashMap::new(),
            watchers: Watchers::default(),
        }
    }

    pub(super) fn run(mut self) {
        let inbox = Arc::clone(&self.shared.live);
        inbox.pace.follow();
        let mut steps = Steps::default();
        while let Some(commands) = inbox.wait() {
            steps.run(&inbox.pace, || self.turn(&inbox, commands));
            steps.wait(&inbox.pace, || inbox.is_closed());
        }
        self.close();
    }

    /// Works, and ends all listens if that fails; gives the number of changes that were looked at.
    pub(super) fn turn(&mut self, inbox: &Inbox, commands: Vec<Command>) -> usize {
        match catch_unwind(AssertUnwindSafe(|| self.work(inbox, commands))) {
            Ok(Ok(changes)) => return changes,
            Ok(Err(error)) => tracing::error!(%error, "live queries cannot read the store"),
            Err(_) => tracing::error!("live queries panicked; all of them were ended"),
        }
        self.end_all(|| EngineError::Closed);
        0
    }

    /// There is nothing more to come, for anybody.
    pub(super) fn close(&self) {
        for connection in self.connections.values() {
            connection.queue.close();
        }
        self.watchers.tell_version();
    }

    /// Does what it is told, and takes everybody to the newest version; gives the number of changes until there.
    fn work(&mut self, inbox: &Inbox, commands: Vec<Command>) -> Result<usize, EngineError> {
        let mut begun = Vec::new();
        for command in commands {
            if let Command::Begun(started) = command {
                begun.push(*started);
            } else {
                self.obey(command);
            }
        }
        self.watchers.sweep(self.listens.is_empty());
        let is_heard = !self.listens.is_empty() || !self.watchers.is_empty();
        // What is committed from here on is told; the snapshot that is opened now has all before.
        inbox.hear(is_heard);
        self.measure();
        if !is_heard {
            return Ok(0);
        }
        let shared = Arc::clone(&self.shared);
        let manager = Arc::clone(&self.manager);
        with_view(&shared, |indexes, snapshot| {
            let state = State {
                shared: &shared,
                manager: &manager,
                indexes,
                snapshot,
            };
            let begin = Instant::now();
            // Loaded after the snapshot was taken, and looked at before the step: nobody is told of a commit by rules that
            // were replaced before it.
            self.follow_rules(shared.rules.load_full(), state)?;
            let changes = self.advance(state)?;
            let seconds = begin.elapsed().as_secs_f64();
            shared.metrics.live_step_seconds.observe(seconds);
            let mut deltas = Deltas::new();
            for started in begun {
                self.attach(started, &mut deltas, state)?;
            }
            self.measure();
            Ok(changes)
        })
    }

    fn measure(&self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.shared.metrics.live_listens.set(gauge(self.listens.len()));
        self.shared.metrics.live_views.set(gauge(self.views.len()));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Listen {
                connection,
                queue,
                number,
                listen,
                caller,
                target,
                resume,
            } => {
                let known = self.connections.entry(connection).or_insert_with(|| Connection {
                    queue,
                    listens: Vec::new(),
                });
                known.listens.push(number);
                self.listens.insert(
                    number,
                    Listen {
                        connection,
                        listen,
                        caller,
                        target,
                        digest: ListenDigest::default(),
                        ticket: 0,
                        phase: Phase::Beginning,
                        looked_up: Vec::new(),
                        told: Version::ZERO,
                    },
                );
                let since = resume.map(|token| (token.version, token.digest));
                self.begin(number, From { since, kept: None });
            }
            Command::Unlisten { number } => self.forget(number),
            Command::SetCaller { caller, listens } => {
                for renumbered in listens {
                    self.set_caller(&caller, renumbered);
                }
            }
            Command::HasRoom { connection } => {
                for number in self.listens_of(connection) {
                    let Some(listen) = self.listens.get_mut(&number) else {
                        continue;
                    };
                    if let Phase::Waiting(from) = &mut listen.phase {
                        let from = std::mem::take(from);
                        self.begin(number, from);
                    }
                }
            }
            Command::Mark { connection } => {
                for number in self.listens_of(connection) {
                    self.mark(number);
                }
            }
            Command::Leave { connection } => {
                for number in self.listens_of(connection) {
                    self.forget(number);
                }
                self.connections.remove(&connection);
            }
            Command::Watch { paths, changed } => self.watchers.watch(paths, &changed),
            Command::Follow { changed } => self.watchers.follow(&changed),
            Command::Begun(_) => {}
        }
    }

    fn listens_of(&self, connection: ConnectionId) -> Vec<u64> {
        self.connections
            .get(&connection)
            .map_or_else(Vec::new, |connection| connection.listens.clone())
    }
}
