//! Passwords: what may be one, and hashing them on threads of their own.
//!
//! Hashing is slow on purpose. It runs on a few dedicated threads of low priority that rest where the processor is short, so that
//! a flood of sign-ins takes neither the async workers nor the time of other requests. Each thread holds the memory
//! of one hash while there is something to do, and the queue is bounded: what is too much is refused before it costs anything.

mod argon;
mod foreign;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use andiron_engine::Engine;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(crate) use foreign::check_foreign_hash;

use crate::options::HashCost;
use crate::{AuthError, AuthOptions, SecretText};

/// Bytes of a password, at most: 64 characters always fit, and no more than this is ever hashed.
pub(crate) const PASSWORD_BYTES_MAX: usize = 256;
/// When somebody may come back whose password found the queue full.
const BUSY_RETRY_SECONDS: u32 = 5;
/// The priority of the threads that hash: the least there is. Alone it does not suffice, since who wakes up does not at once get the
/// processor of who works without pause.
const HASHING_NICE: i32 = 19;
/// A thread that had to wait for a processor for more than one part in so many of the time of a hash...
const WAITED_SHARE: u32 = 20;
/// ...rests afterwards for so many times as long as the hash took...
const REST_TIMES: u32 = 3;
/// ...but no longer than this: the time is wanted by who reads and writes.
const REST_MAX: Duration = Duration::from_millis(100);
/// How long a thread that has nothing to do keeps the memory of a hash for the next.
const MEMORY_KEPT: Duration = Duration::from_secs(10);
/// The most frequent passwords, one a line.
const COMMON: &str = include_str!("password/common.txt");

/// A password that somebody sent: of a length that is worth hashing.
#[derive(Clone, Debug)]
pub struct Password(SecretText);

impl Password {
    /// Takes a password as it was sent. Whether it is good enough to be set is asked elsewhere.
    ///
    /// # Errors
    /// If it is longer than any password can be, before anything is done with it.
    pub fn parse(text: String) -> Result<Self, AuthError> {
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(AuthError::input(
                "password",
                format!("a password has at most {PASSWORD_BYTES_MAX} bytes"),
            ));
        }
        Ok(Self(SecretText::new(text)))
    }

    fn bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

/// Refuses passwords that are too short or that attackers try first.
pub(crate) fn check_new(password: &Password, chars_min: usize, email: Option<&str>) -> Result<(), AuthError> {
    let text = password.0.expose();
    let refuse = |detail: String| Err(AuthError::input("password", detail));
    if text.chars().count() < chars_min {
        return refuse(format!("a password has at least {chars_min} characters"));
    }
    let lower = text.to_lowercase();
    let first = lower.chars().next();
    let is_one_character = lower.chars().all(|character| Some(character) == first);
    if is_one_character || common().contains(lower.as_str()) {
        return refuse("this password is among the first that attackers try; choose another".to_owned());
    }
    let local = email.and_then(|email| email.split('@').next());
    if email == Some(lower.as_str()) || local == Some(lower.as_str()) {
        return refuse("the e-mail address is not a password".to_owned());
    }
    Ok(())
}

fn common() -> &'static HashSet<&'static str> {
    static SET: OnceLock<HashSet<&'static str>> = OnceLock::new();
    SET.get_or_init(|| COMMON.lines().filter(|line| !line.starts_with('#')).collect())
}

/// What a check of a password found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is another password.
    Wrong,
    /// It is the one.
    Right,
    /// It is the one, and its hash is weaker than new ones are: here is a new one.
    Upgraded(String),
}

type Job = Box<dyn FnOnce(&mut argon::Memory) + Send>;

/// The threads that hash. They end when this goes out of scope and what is queued is done.
pub(crate) struct PasswordHasher {
    queue: SyncSender<Job>,
    engine: Engine,
    cost: HashCost,
    /// Checked where there is no account, so that it takes as long as where there is one.
    decoy: OnceLock<String>,
}

impl PasswordHasher {
    pub(crate) fn start(engine: Engine, options: &AuthOptions) -> Result<Self, AuthError> {
        let (queue, jobs) = sync_channel::<Job>(options.hash_queue_max.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..options.hash_threads.max(1) {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name("andiron-hash".to_owned())
                .spawn(move || hash_until_closed(&jobs))
                .map_err(|error| AuthError::Internal(format!("starting a thread: {error}")))?;
        }
        Ok(Self {
            queue,
            engine,
            cost: options.hash_cost,
            decoy: OnceLock::new(),
        })
    }

    /// The hash of a new password, as it is stored.
    pub(crate) async fn hash(&self, password: &Password) -> Result<String, AuthError> {
        let (cost, salt, password) = (self.cost, self.salt(), password.clone());
        self.run(move |memory| argon::hash(password.bytes(), &salt, cost, memory))
            .await?
    }

    /// Checks a password against a stored hash; without one it takes as long, and finds it wrong.
    pub(crate) async fn check(
        &self,
        password: &Password,
        stored: Option<&str>,
    ) -> Result<Checked, AuthError> {
        let (cost, salt, password) = (self.cost, self.salt(), password.clone());
        let Some(stored) = stored.map(ToOwned::to_owned) else {
            let decoy = self.decoy.get().cloned();
            let (wrong, made) = self
                .run(move |memory| match decoy {
                    Some(decoy) => (argon::verify(password.bytes(), &decoy, memory).is_none(), None),
                    None => (true, argon::hash(password.bytes(), &salt, cost, memory).ok()),
                })
                .await?;
            if let Some(made) = made {
                // Of a password that somebody tried: it belongs to no account, and nothing accepts it.
                let _ = self.decoy.set(made);
            }
            tracing::trace!(wrong, "a decoy was checked");
            return Ok(Checked::Wrong);
        };
        self.run(move |memory| {
            let is_right = if stored.starts_with("$argon2") {
                argon::verify(password.bytes(), &stored, memory).unwrap_or(false)
            } else {
                foreign::verify(password.bytes(), &stored)
            };
            if !is_right {
                return Ok(Checked::Wrong);
            }
            if argon::is_as_strong(&stored, cost) {
                return Ok(Checked::Right);
            }
            argon::hash(password.bytes(), &salt, cost, memory).map(Checked::Upgraded)
        })
        .await?
    }

    fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.engine.fill_random(&mut salt);
        salt
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut argon::Memory) -> R + Send + 'static,
    ) -> Result<R, AuthError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Whoever asked and went away costs nothing.
            if !answer.is_closed() {
                let _ = answer.send(work(memory));
            }
        });
        match self.queue.try_send(job) {
            Ok(()) => answered
                .await
                .map_err(|_| AuthError::Internal("a thread that hashes passwords has ended".to_owned())),
            Err(TrySendError::Full(_)) => Err(AuthError::Busy {
                retry_after_seconds: BUSY_RETRY_SECONDS,
            }),
            Err(TrySendError::Disconnected(_)) => {
                Err(AuthError::Internal("no thread hashes passwords".to_owned()))
            }
        }
    }
}

fn hash_until_closed(jobs: &Mutex<Receiver<Job>>) {
    // On Linux this is about the calling thread alone. Where it is refused, hashing competes like everything else.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, HASHING_NICE);
    let mut memory = argon::Memory::default();
    loop {
        let job = if memory.is_empty() {
            jobs.lock().recv().map_err(RecvTimeoutError::from)
        } else {
            jobs.lock().recv_timeout(MEMORY_KEPT)
        };
        match job {
            Ok(job) => {
                let (begun, used_before) = (Instant::now(), processor_time());
                job(&mut memory);
                let (took, used) = (begun.elapsed(), processor_time().saturating_sub(used_before));
                if took.saturating_sub(used) > took / WAITED_SHARE {
                    std::thread::sleep((took * REST_TIMES).min(REST_MAX));
                }
            }
            Err(RecvTimeoutError::Timeout) => memory = argon::Memory::default(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The processor's time that the calling thread has had.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Where it is not known, as if it had had all the time there was.
#[cfg(not(target_os = "linux"))]
fn processor_time() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        let password = Password::parse(text.to_owned()).unwrap();
        check_new(&password, 8, Some("ada.lovelace@example.org")).is_err()
    }

    #[test]
    fn short_common_and_obvious_passwords_are_refused() {
        for text in [
            "",
            "short",
            "\u{1f600}\u{1f600}",
            "password",
            "PassWord",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "ada.lovelace",
            "Ada.Lovelace@example.org",
        ] {
            assert!(refused(text), "{text}");
        }
        for text in [
            "correct horse",
            "tr\u{fc}be Tasse",
            "x7!kPq2z",
            &"long ".repeat(40),
        ] {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn no_more_is_taken_than_can_be_a_password() {
        assert!(Password::parse("x".repeat(PASSWORD_BYTES_MAX)).is_ok());
        assert!(Password::parse("x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn the_list_of_common_passwords_has_no_gaps() {
        assert_eq!(common().len(), 5000);
        assert!(common().iter().all(|line| line.chars().count() >= 8));
    }
}
