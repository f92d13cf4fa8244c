//! Generated ids: lowercase ULIDs, strictly increasing within a process.

use parking_lot::Mutex;
use ulid::Ulid;

use crate::Surroundings;

/// Random bytes of one id, as a ULID has them.
const RANDOM_BYTES: usize = 10;
/// Ids whose randomness is drawn at once: asking the operating system for every id costs more than all the rest of it.
const IDS_DRAWN: usize = 50;

/// Gives out ids that order by the time of their making, so that new documents stand together on the disk.
pub(crate) struct IdGenerator {
    state: Mutex<State>,
}

struct State {
    last: u128,
    drawn: [u8; RANDOM_BYTES * IDS_DRAWN],
    /// How much of `drawn` has been used.
    used: usize,
}

impl Default for IdGenerator {
    fn default() -> Self {
        let drawn = [0; RANDOM_BYTES * IDS_DRAWN];
        let used = drawn.len();
        Self {
            state: Mutex::new(State { last: 0, drawn, used }),
        }
    }
}

impl IdGenerator {
    /// A new id. Within one millisecond, and when the clock steps back, ids count on from the last one.
    pub(crate) fn generate(&self, surroundings: &Surroundings) -> String {
        let millis = u64::try_from((surroundings.now)().as_micros() / 1000).unwrap_or_default();
        let mut state = self.state.lock();
        let fresh = Ulid::from_parts(millis, state.random(surroundings)).into();
        state.last = state.last.saturating_add(1).max(fresh);
        Ulid::from(state.last).to_string().to_ascii_lowercase()
    }
}

impl State {
    fn random(&mut self, surroundings: &Surroundings) -> u128 {
        if self.used == self.drawn.len() {
            (surroundings.random)(&mut self.drawn);
            self.used = 0;
        }
        let next = self.used + RANDOM_BYTES;
        let mut bytes = [0; 16];
        bytes[16 - RANDOM_BYTES..].copy_from_slice(&self.drawn[self.used..next]);
        self.used = next;
        u128::from_be_bytes(bytes)
    }
}
