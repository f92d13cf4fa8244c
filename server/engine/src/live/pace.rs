//! How fast the feed goes: no faster than what it tells is taken.
//!
//! A step that many take costs far more to deliver than to find. So the next one begins when most of those who were told of
//! the last have taken it, and holds all that was committed meanwhile: under load steps become larger, and a change
//! costs each of them less. Whoever takes nothing is soon not waited for. And the more is written, the more of the time is
//! left to those who write.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

use crate::EngineMetrics;

/// The longest that a step waits for the one before to be taken.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// In such a time some of those who were told have to have taken it, or nobody is waited for any longer.
const PROGRESS_TIME: Duration = Duration::from_millis(25);
/// One in so many of those who were told may not have taken it when the next step begins.
const REST_SHARE: usize = 8;
/// For every so many changes in a step, the first of them left out, a rest follows that is as long as the step took to be
/// delivered...
const REST_CHANGES: usize = 8;
/// ...but no more than so many times as long...
const RESTS_MAX: usize = 8;
/// ...and no longer than until so long after the step.
const REST_UNTIL: Duration = Duration::from_millis(80);

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
            if before.saturating_sub(left) <= self.told / REST_SHARE {
                break;
            }
        }
        pace.wake_below.store(0, Ordering::SeqCst);
        let rests = (self.changes / REST_CHANGES).saturating_sub(1).min(RESTS_MAX);
        if rests > 0 && self.told > 0 {
            let mut now = Instant::now();
            let rest = (now - begun) * u32::try_from(rests).unwrap_or(1);
            let until = (now + rest).min(begun + REST_UNTIL);
            while now < until && !is_over() {
                std::thread::park_timeout(until - now);
                now = Instant::now();
            }
        }
        self.slow = pace.untaken();
    }
}
