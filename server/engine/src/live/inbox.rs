//! What the feed's thread is told, and by whom: connections, the writer, and whoever puts rules into force.
//!
//! Nobody waits here, and the writer not even for a lock: it leaves a mark, and only while somebody listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use andiron_protocol::DocumentPath;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::pace::Pace;
use super::queue::Queue;
use super::start::{StartJob, Started};
use super::token::ResumeToken;
use super::view::LiveTarget;
use crate::{Caller, EngineMetrics};

/// A connection's number.
pub(super) type ConnectionId = u64;

/// Something for the feed to do.
pub(super) enum Command {
    Listen {
        connection: ConnectionId,
        queue: Arc<Queue>,
        number: u64,
        listen: u64,
        caller: Caller,
        target: LiveTarget,
        resume: Option<ResumeToken>,
    },
    Unlisten {
        number: u64,
    },
    /// All listens of a connection are somebody else's from now on.
    SetCaller {
        caller: Caller,
        listens: Vec<Renumbered>,
    },
    /// There is room in a queue again.
    HasRoom {
        connection: ConnectionId,
    },
    /// A connection wants to know how far it is.
    Mark {
        connection: ConnectionId,
    },
    Leave {
        connection: ConnectionId,
    },
    Begun(Box<Started>),
    Watch {
        paths: Vec<DocumentPath>,
        changed: Arc<Notify>,
    },
    /// Somebody wants to know of every version.
    Follow {
        changed: Arc<Notify>,
    },
}

/// A listen under another number: what was told of it under the one before is told to nobody any more.
pub(super) struct Renumbered {
    pub(super) before: u64,
    pub(super) number: u64,
    /// The state that its client has.
    pub(super) reached: Option<ResumeToken>,
}

/// The way to the feed.
#[derive(Default)]
pub(crate) struct Inbox {
    told: Mutex<Told>,
    /// Whether there is a new version, or other rules.
    has_news: AtomicBool,
    is_closed: AtomicBool,
    /// How fast what is told is taken; wakes the feed.
    pub(super) pace: Arc<Pace>,
    /// Whether anybody listens.
    is_heard: AtomicBool,
    /// Listens of all connections.
    pub(super) listens: AtomicUsize,
    /// Those who follow the change log.
    pub(super) followers: AtomicUsize,
    /// What seals resume tokens, once it was needed.
    pub(super) secret: Mutex<Option<Vec<u8>>>,
    jobs: Mutex<Jobs>,
    job: Condvar,
}

#[derive(Default)]
struct Told {
    commands: Vec<Command>,
    is_closed: bool,
}

#[derive(Default)]
struct Jobs {
    waiting: std::collections::VecDeque<StartJob>,
    is_closed: bool,
}

impl Inbox {
    pub(crate) fn new(metrics: &EngineMetrics) -> Self {
        Self {
            pace: Arc::new(Pace::new(metrics)),
            ..Self::default()
        }
    }

    /// Says that there is a new version, or other rules.
    pub(crate) fn tell_news(&self) {
        if self.is_heard.load(Ordering::SeqCst) && !self.has_news.swap(true, Ordering::SeqCst) {
            self.pace.wake();
        }
    }

    /// Has news told from now on, or not any more.
    pub(super) fn hear(&self, is_heard: bool) {
        self.is_heard.store(is_heard, Ordering::SeqCst);
    }

    /// Gives the feed something to do; false if it has ended.
    pub(super) fn tell(&self, command: Command) -> bool {
        let mut told = self.told.lock();
        if told.is_closed {
            return false;
        }
        told.commands.push(command);
        let is_first = told.commands.len() == 1;
        drop(told);
        if is_first {
            self.pace.wake();
        }
        true
    }

    /// Waits for something to do; `None` when it is to end. For the feed's thread alone, which [`Pace`] knows.
    pub(super) fn wait(&self) -> Option<Vec<Command>> {
        loop {
            if self.is_closed() {
                return None;
            }
            let has_news = self.has_news.swap(false, Ordering::SeqCst);
            let commands = self.take_commands();
            if has_news || !commands.is_empty() {
                return Some(commands);
            }
            std::thread::park();
        }
    }

    /// What there is to do besides looking for news.
    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.told.lock().commands)
    }

    /// Whether the feed is to end.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Has a listen begun. They are as many at most as there are listens.
    pub(super) fn put_job(&self, job: StartJob) {
        self.jobs.lock().waiting.push_back(job);
        self.job.notify_one();
    }

    /// Waits for a listen to begin; `None` when there will be no more.
    pub(super) fn wait_for_job(&self) -> Option<StartJob> {
        let mut jobs = self.jobs.lock();
        loop {
            if jobs.is_closed {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            self.job.wait(&mut jobs);
        }
    }

    /// A listen to begin, if one waits.
    pub(super) fn next_job(&self) -> Option<StartJob> {
        self.jobs.lock().waiting.pop_front()
    }

    /// Ends the feed and the beginnings.
    pub(super) fn close(&self) {
        {
            let mut told = self.told.lock();
            told.is_closed = true;
            told.commands.clear();
        }
        self.is_closed.store(true, Ordering::SeqCst);
        self.pace.wake();
        let mut jobs = self.jobs.lock();
        jobs.is_closed = true;
        jobs.waiting.clear();
        drop(jobs);
        self.job.notify_all();
    }
}
