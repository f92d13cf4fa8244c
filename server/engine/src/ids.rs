//! Generated ids: lowercase ULIDs, strictly increasing within a process.

use parking_lot::Mutex;
use ulid::Ulid;

use crate::Surroundings;

/// Gives out ids that order by the time of their making, so that new documents stand together on the disk.
#[derive(Default)]
pub(crate) struct IdGenerator {
    last: Mutex<u128>,
}

impl IdGenerator {
    /// A new id. Within one millisecond, and when the clock steps back, ids count on from the last one.
    pub(crate) fn generate(&self, surroundings: &Surroundings) -> String {
        let mut random = [0; 16];
        (surroundings.random)(&mut random[6..]);
        let millis = u64::try_from((surroundings.now)().as_micros() / 1000).unwrap_or_default();
        let fresh: u128 = Ulid::from_parts(millis, u128::from_be_bytes(random)).into();
        let mut last = self.last.lock();
        *last = fresh.max(last.saturating_add(1));
        Ulid::from(*last).to_string().to_ascii_lowercase()
    }
}
