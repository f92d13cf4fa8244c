//! What waits for a client: whole steps, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use andiron_protocol::Version;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::event::{Event, SharedChanges};
use super::pace::Pace;
use super::token::{ListenDigest, ResumeToken};
use crate::EngineError;

/// What a message costs beside its changes, roughly.
const MESSAGE_BYTES: usize = 160;

/// Something for the client of a connection.
#[derive(Debug)]
pub enum LiveMessage {
    /// Changes of a result.
    Changes(LiveChanges),
    /// A listen has ended.
    Ended {
        /// The client's number of it.
        listen: u64,
        /// Why.
        error: EngineError,
    },
}

/// Changes of a result, or a part of them.
#[derive(Clone, Debug)]
pub struct LiveChanges {
    /// The client's number of the listen.
    pub listen: u64,
    /// Whether everything before is to be forgotten.
    pub reset: bool,
    /// The version of the state that is reached when `more` is false.
    pub version: Version,
    /// Continues from there.
    pub resume: ResumeToken,
    /// Whether another part follows before the state is reached.
    pub more: bool,
    /// The changes.
    pub changes: SharedChanges,
}

/// A message, with the number of the listen that it belongs to: the client's own may come again.
pub(super) struct Queued {
    pub(super) number: u64,
    pub(super) message: LiveMessage,
}

/// The queue of one connection.
pub(super) struct Queue {
    state: Mutex<QueueState>,
    pub(super) ready: Notify,
    bytes_max: usize,
    pace: Arc<Pace>,
}

#[derive(Default)]
struct QueueState {
    messages: VecDeque<Queued>,
    bytes: usize,
    /// Whether there was something since the taker last found nothing.
    is_untaken: bool,
    /// Whether listens wait for room.
    is_awaited: bool,
    is_closed: bool,
}

/// What there was to take.
pub(super) enum Taken {
    Messages,
    Nothing,
    Closed,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, pace: Arc<Pace>) -> Self {
        Self {
            state: Mutex::default(),
            ready: Notify::new(),
            bytes_max,
            pace,
        }
    }

    /// Puts events of one listen in, which together are a step. If too much is waiting already nothing is, and the taker
    /// says so when there is room again.
    #[must_use]
    pub(super) fn push(
        &self,
        (number, listen): (u64, u64),
        (version, digest): (Version, ListenDigest),
        reset: bool,
        events: &[&Event],
    ) -> bool {
        let mut state = self.state.lock();
        if state.bytes > self.bytes_max {
            state.is_awaited = true;
            return false;
        }
        let frames = events.iter().flat_map(|event| &event.frames);
        let count = frames.clone().count();
        let before = state.bytes;
        for (place, frame) in frames.enumerate() {
            state.bytes += frame.len() + MESSAGE_BYTES;
            state.messages.push_back(Queued {
                number,
                message: LiveMessage::Changes(LiveChanges {
                    listen,
                    reset: reset && place == 0,
                    version,
                    resume: ResumeToken { version, digest },
                    more: place + 1 < count,
                    changes: frame.clone(),
                }),
            });
        }
        self.pace.add_bytes(state.bytes - before);
        self.tell(state);
        true
    }

    /// Wakes the taker unless it is at work.
    fn tell(&self, mut state: MutexGuard<'_, QueueState>) {
        if !std::mem::replace(&mut state.is_untaken, true) {
            self.pace.told();
            drop(state);
            self.ready.notify_one();
        }
    }

    /// Whether something could be put in. If not, the taker says so when there is room again.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        let has_room = state.bytes <= self.bytes_max;
        state.is_awaited |= !has_room;
        has_room
    }

    /// Tells of the end of a listen, for which there is always room.
    pub(super) fn end(&self, (number, listen): (u64, u64), error: EngineError) {
        let mut state = self.state.lock();
        state.bytes += MESSAGE_BYTES;
        self.pace.add_bytes(MESSAGE_BYTES);
        state.messages.push_back(Queued {
            number,
            message: LiveMessage::Ended { listen, error },
        });
        self.tell(state);
    }

    /// Takes messages until they are so many bytes, and says whether somebody waits for the room that there is now.
    pub(super) fn take(&self, bytes_max: usize, messages: &mut Vec<Queued>) -> (Taken, bool) {
        let mut state = self.state.lock();
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(queued) = state.messages.pop_front()
        {
            bytes += cost(&queued.message);
            messages.push(queued);
        }
        state.bytes -= bytes;
        self.pace.remove_bytes(bytes);
        let taken = if bytes > 0 {
            Taken::Messages
        } else if state.is_closed {
            Taken::Closed
        } else {
            Taken::Nothing
        };
        if bytes == 0 && state.is_untaken {
            state.is_untaken = false;
            self.pace.taken();
        }
        // Only once all that was taken has gone out: who still writes would be given one step more to hold.
        let is_awaited = bytes == 0 && std::mem::take(&mut state.is_awaited);
        (taken, is_awaited)
    }

    /// Nobody takes anything any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.messages.clear();
        self.pace.remove_bytes(std::mem::take(&mut state.bytes));
        if state.is_untaken {
            state.is_untaken = false;
            self.pace.taken();
        }
    }

    /// Ends it: what is in it can still be taken.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.ready.notify_one();
    }
}

fn cost(message: &LiveMessage) -> usize {
    match message {
        LiveMessage::Changes(changes) => changes.changes.len() + MESSAGE_BYTES,
        LiveMessage::Ended { .. } => MESSAGE_BYTES,
    }
}
