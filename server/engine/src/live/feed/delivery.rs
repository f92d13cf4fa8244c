//! Telling clients: whole steps into their queues, or nothing until there is room, and why a listen has ended.

use std::sync::Arc;

use andiron_protocol::Version;

use super::super::event::Event;
use super::super::start::From;
use super::{Feed, Phase};
use crate::EngineError;

impl Feed {
    /// Tells the client of a listen of a step; if there is no room it waits, with the state from before the step.
    pub(super) fn tell(&mut self, number: u64, before: Version, event: &Event) {
        if self.push(number, false, &[event]) {
            return;
        }
        let digest = self.listens.get(&number).map(|listen| listen.digest);
        let since = digest.map(|digest| (before, digest));
        self.wait(number, From { since, kept: None });
    }

    /// Puts a step into the queue of a listen's client, if there is room.
    pub(super) fn push(&mut self, number: u64, reset: bool, events: &[&Event]) -> bool {
        let version = self.version;
        let Some(listen) = self.listens.get_mut(&number) else {
            return true;
        };
        let Some(connection) = self.connections.get(&listen.connection) else {
            return true;
        };
        let state = (version, listen.digest);
        let is_taken = connection
            .queue
            .push((number, listen.listen), state, reset, events);
        if is_taken {
            listen.told = version;
        }
        is_taken
    }

    /// Has a listen wait for room.
    pub(super) fn wait(&mut self, number: u64, from: From) {
        self.shared.metrics.live_skips.inc();
        self.detach(number);
        self.await_room(number, from);
    }

    /// Notes that a listen begins when there is room.
    pub(super) fn await_room(&mut self, number: u64, from: From) {
        if let Some(listen) = self.listens.get_mut(&number) {
            listen.phase = Phase::Waiting(from);
        }
    }

    /// Whether a listen's client can be told anything at the moment.
    pub(super) fn has_room(&self, number: u64) -> bool {
        let connection = self
            .listens
            .get(&number)
            .and_then(|listen| self.connections.get(&listen.connection));
        connection.is_none_or(|connection| connection.queue.has_room())
    }

    /// Tells a client how far it is, if that is further than it knows.
    pub(super) fn mark(&mut self, number: u64) {
        if self.is_attached(number)
            && self
                .listens
                .get(&number)
                .is_some_and(|listen| listen.told < self.version)
        {
            self.tell(number, self.version, &Event::empty());
        }
    }

    pub(super) fn end(&mut self, number: u64, error: EngineError) {
        if let Some(listen) = self.listens.get(&number)
            && let Some(connection) = self.connections.get(&listen.connection)
        {
            connection.queue.end((number, listen.listen), error);
        }
        self.forget(number);
    }

    pub(super) fn end_all(&mut self, error: impl Fn() -> EngineError) {
        let numbers: Vec<u64> = self.listens.keys().copied().collect();
        for number in numbers {
            self.end(number, error());
        }
    }
}

/// The same failure for everybody whom it concerns.
pub(super) fn same_error(error: &Arc<EngineError>) -> EngineError {
    match &**error {
        EngineError::Store(error) => EngineError::Store(Arc::clone(error)),
        EngineError::PermissionDenied(denied) => EngineError::PermissionDenied(denied.clone()),
        EngineError::OutOfScope { needed } => EngineError::OutOfScope { needed },
        EngineError::ListenTooLarge {
            documents_max,
            bytes_max,
        } => EngineError::ListenTooLarge {
            documents_max: *documents_max,
            bytes_max: *bytes_max,
        },
        EngineError::ListenLooksUpTooMuch => EngineError::ListenLooksUpTooMuch,
        EngineError::QueryTooCostly { read, advice } => EngineError::QueryTooCostly {
            read: *read,
            advice: advice.clone(),
        },
        EngineError::SortTooLarge { bytes_max, advice } => EngineError::SortTooLarge {
            bytes_max: *bytes_max,
            advice: advice.clone(),
        },
        EngineError::DeadlineExceeded { milliseconds, advice } => EngineError::DeadlineExceeded {
            milliseconds: *milliseconds,
            advice: advice.clone(),
        },
        _ => EngineError::Closed,
    }
}
