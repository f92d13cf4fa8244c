//! Limits of attempts.
//!
//! Counts are held in memory, bounded, and forgotten by a restart. An attempt is counted before it is made, under one
//! lock, so that parallel attempts get no more than the limit; what turned out well is given back.

use std::time::Duration;

use andiron_protocol::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::options::Rate;
use crate::{AuthError, ClientInfo};

/// Counters held at once; beyond that the one that was quiet for longest is forgotten.
const COUNTERS_MAX: usize = 100_000;

/// What is counted. Each has counters of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    SignIn,
    SignUp,
    Mail,
    Token,
    Text,
}

/// The counters.
pub(crate) struct Attempts(Mutex<LruCache<[u8; 16], Window>>);

#[derive(Clone, Copy)]
struct Window {
    /// When the first attempt of this window was made.
    start: Timestamp,
    count: u32,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }

    /// Counts an attempt of a client.
    pub(crate) fn count_client(
        &self,
        attempt: Attempt,
        client: &ClientInfo,
        rate: Rate,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        match client.limit_key() {
            Some(key) => self.count(attempt, &format!("client {key}"), rate, now),
            None => Ok(()),
        }
    }

    /// Counts an attempt on something; refuses it if there were as many as there may be.
    pub(crate) fn count(
        &self,
        attempt: Attempt,
        what: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let mut windows = self.0.lock();
        while windows.len() >= COUNTERS_MAX {
            windows.pop_lru();
        }
        let window = windows.get_or_insert_mut(key(attempt, what), || Window { start: now, count: 0 });
        let passed = now.as_micros().saturating_sub(window.start.as_micros());
        let period = micros(rate.period);
        // A clock that stepped back begins a window too: nobody is locked out until the clock has caught up.
        if passed >= period || passed < 0 {
            *window = Window { start: now, count: 0 };
        }
        if window.count >= rate.attempts {
            let left = period - passed.clamp(0, period);
            let seconds = u32::try_from(left / 1_000_000 + 1).unwrap_or(u32::MAX);
            return Err(AuthError::TooManyAttempts {
                retry_after_seconds: seconds,
            });
        }
        window.count += 1;
        Ok(())
    }

    /// Takes all counted attempts on something back: one has turned out well.
    pub(crate) fn forget(&self, attempt: Attempt, what: &str) {
        self.0.lock().pop(&key(attempt, what));
    }
}

fn micros(period: Duration) -> i64 {
    i64::try_from(period.as_micros()).unwrap_or(i64::MAX)
}

/// Of one size, whatever was sent.
fn key(attempt: Attempt, what: &str) -> [u8; 16] {
    let digest = Sha256::new()
        .chain_update([attempt as u8])
        .chain_update(what)
        .finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new(3, Duration::from_secs(60));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros_clamped(1_800_000_000_000_000 + seconds * 1_000_000)
    }

    #[test]
    fn so_many_attempts_pass_and_the_next_hears_when_to_come_back() {
        let attempts = Attempts::new();
        for _ in 0..3 {
            attempts.count(Attempt::SignIn, "ada", RATE, at(0)).unwrap();
        }
        let refused = attempts.count(Attempt::SignIn, "ada", RATE, at(50));
        assert!(
            matches!(
                refused,
                Err(AuthError::TooManyAttempts {
                    retry_after_seconds: 11
                })
            ),
            "{refused:?}"
        );
        attempts.count(Attempt::SignIn, "bob", RATE, at(50)).unwrap();
        attempts.count(Attempt::SignUp, "ada", RATE, at(50)).unwrap();
        attempts.count(Attempt::SignIn, "ada", RATE, at(60)).unwrap();
    }

    #[test]
    fn what_turned_out_well_does_not_count() {
        let attempts = Attempts::new();
        for _ in 0..10 {
            attempts.count(Attempt::SignIn, "ada", RATE, at(0)).unwrap();
            attempts.forget(Attempt::SignIn, "ada");
        }
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let attempts = Attempts::new();
        for _ in 0..3 {
            attempts
                .count(Attempt::SignIn, "ada", RATE, at(1_000_000))
                .unwrap();
        }
        attempts.count(Attempt::SignIn, "ada", RATE, at(0)).unwrap();
    }
}
