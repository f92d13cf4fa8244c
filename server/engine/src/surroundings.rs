//! Clock and randomness, handed in so that tests and simulations own them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use andiron_protocol::Timestamp;
use andiron_store::StoreError;

/// Tells the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Fills a buffer with unpredictable bytes.
pub type Randomness = Arc<dyn Fn(&mut [u8]) + Send + Sync>;
/// Is told of the failure that ends all writing.
pub type FatalHook = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// What the engine needs of the world besides a store.
#[derive(Clone)]
pub struct Surroundings {
    /// The time of day. May step back; versions do not.
    pub now: Clock,
    /// Fills a buffer with unpredictable bytes.
    pub random: Randomness,
    /// Called once when the store can no longer be trusted with writes: the process must then exit. Writes are refused
    /// from that moment on.
    pub on_fatal: FatalHook,
}

impl Surroundings {
    /// The system's clock and randomness, and nothing more than a log line when the store fails for good.
    pub fn system() -> Self {
        Self {
            now: Arc::new(|| {
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros_clamped(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
            }),
            random: Arc::new(|buffer| {
                getrandom::fill(buffer).expect("the operating system has randomness");
            }),
            on_fatal: Arc::new(
                |error| tracing::error!(%error, "the store failed for good; writes are refused"),
            ),
        }
    }
}
