//! How fast the feed goes: no faster than what it tells is taken.
//!
//! A step that many take costs far more to deliver than to find. So the next one begins when most of those who were told of
//! the last have taken it, and holds all that was committed meanwhile: under load steps become larger, and a change
//! costs each of them less. Whoever takes nothing is soon not waited for. And where more is written than can be told one by
//! one, changes of the same documents are joined, so that most of the time is left to those who write.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

use crate::EngineMetrics;

/// The longest that a step waits for the one before to be taken.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// In such a time some of those who were told have to have taken it, or nobody is waited for any longer...
const PROGRESS_TIME: Duration = Duration::from_millis(25);
/// ...one in so many.
const PROGRESS_SHARE: usize = 64;
/// One in so many of those who were told may not have taken it when the next step begins.
const REST_SHARE: usize = 8;
/// A step of few changes costs as much as it has takers. A rest after it, as long as its delivery for every so many changes
/// beyond the first such, has the next one hold more...
const GATHER_CHANGES: usize = 6;
/// ...but is no more than so many times as long, and over so long after the step began.
const GATHERS_MAX: f64 = 8.0;
const GATHER_UNTIL: Duration = Duration::from_millis(40);
/// A step of many changes costs as much as there is in it: they come faster than they can be told one by one. A rest after
/// it, again as long as its delivery for every so many changes beyond the first such, joins those of the same
/// documents...
const JOIN_CHANGES: usize = 128;
/// ...within such bounds.
const JOINS_MAX: f64 = 4.0;
const JOIN_UNTIL: Duration = Duration::from_secs(1);

/// What connections tell the feed of their taking.
#[derive(Default)]
pub(super) struct Pace {
    /// Connections that have not taken all that they were told.
    untaken: AtomicUsize,
    /// The same for whoever measures, and the bytes that wait for all of them.
    untaken_shown: Gauge,
    waiting_bytes: Gauge,
    /// The feed is to be woken when there are fewer than that. 0: it does not wait.
    wake_below: AtomicUsize,
    feed: OnceLock<Thread>,
}

impl Pace {
    /// One that shows what it counts.
    pub(super) fn new(metrics: &EngineMetrics) -> Self {
        Self {
            untaken_shown: metrics.live_untaken.clone(),
            waiting_bytes: metrics.live_queue_bytes.clone(),
            ..Self::default()
        }
    }

    /// Says which thread is the feed's: the one that calls.
    pub(super) fn follow(&self) {
        // There is one feed, and it says so once.
        let _ = self.feed.set(std::thread::current());
    }

    /// Wakes the feed if it rests.
    pub(super) fn wake(&self) {
        if let Some(feed) = self.feed.get() {
            feed.unpark();
        }
    }

    /// A connection that had taken everything has something to take.
    pub(super) fn told(&self) {
        self.untaken.fetch_add(1, Ordering::SeqCst);
        self.untaken_shown.inc();
    }

    /// A connection has taken everything.
    pub(super) fn taken(&self) {
        let left = self.untaken.fetch_sub(1, Ordering::SeqCst) - 1;
        self.untaken_shown.dec();
        if left < self.wake_below.load(Ordering::SeqCst) && self.wake_below.swap(0, Ordering::SeqCst) > 0 {
            self.wake();
        }
    }

    /// So many bytes more wait.
    pub(super) fn add_bytes(&self, bytes: usize) {
        self.waiting_bytes
            .inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// So many bytes wait no longer.
    pub(super) fn remove_bytes(&self, bytes: usize) {
        self.waiting_bytes
            .dec_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn untaken(&self) -> usize {
        self.untaken.load(Ordering::SeqCst)
    }
}

/// The feed's side of it.
#[derive(Default)]
pub(super) struct Steps {
    /// Connections that are not waited for.
    slow: usize,
    /// Connections to which the last step gave something to take.
    told: usize,
    /// Changes in the last step.
    changes: usize,
}

impl Steps {
    /// Runs a step, which gives the number of its changes, and notes to how many it gave something.
    pub(super) fn run(&mut self, pace: &Pace, step: impl FnOnce() -> usize) {
        let before = pace.untaken();
        self.slow = self.slow.min(before);
        self.changes = step();
        self.told = pace.untaken().saturating_sub(before);
    }

    /// Waits until most have taken the last step. `is_over` says that there is nothing to wait for any more.
    pub(super) fn wait(&mut self, pace: &Pace, is_over: impl Fn() -> bool) {
        let enough = self.slow + self.told / REST_SHARE;
        let begun = Instant::now();
        let end = begun + WAIT_MAX;
        let mut left = pace.untaken();
        while left > enough && Instant::now() < end && !is_over() {
            let until = Instant::now() + PROGRESS_TIME;
            let before = left;
            loop {
                pace.wake_below.store(enough + 1, Ordering::SeqCst);
                left = pace.untaken();
                let now = Instant::now();
                if left <= enough || now >= until || is_over() {
                    break;
                }
                // It is woken by news too, which can wait.
                std::thread::park_timeout(until - now);
            }
            if before.saturating_sub(left) <= self.told / PROGRESS_SHARE {
                break;
            }
        }
        pace.wake_below.store(0, Ordering::SeqCst);
        let until = begun + self.rested(begun.elapsed());
        let mut now = Instant::now();
        while now < until && !is_over() {
            std::thread::park_timeout(until - now);
            now = Instant::now();
        }
        self.slow = pace.untaken();
    }

    /// How long after a step the next one may begin, if the step's delivery took so long.
    fn rested(&self, took: Duration) -> Duration {
        if self.told == 0 {
            return took;
        }
        let beyond = |changes: usize, max: f64| {
            let times = self.changes as f64 / changes as f64 - 1.0;
            took.mul_f64(1.0 + times.clamp(0.0, max))
        };
        let gathered = beyond(GATHER_CHANGES, GATHERS_MAX).min(GATHER_UNTIL);
        let joined = beyond(JOIN_CHANGES, JOINS_MAX).min(JOIN_UNTIL);
        gathered.max(joined).max(took)
    }
}
