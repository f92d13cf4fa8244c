//! Tickets: the right to one listen, for clients that can set no headers.
//!
//! A ticket is good for the parameters that it was minted with, and as long as the token of whoever minted it. It lies in
//! memory; after a restart a client mints another. Only its hash is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use super::events::Listen;
use super::session::Credential;

type TicketHash = [u8; 32];

/// The tickets that are good.
pub(crate) struct ListenTickets {
    tickets: Mutex<Tickets>,
    max: usize,
}

#[derive(Default)]
struct Tickets {
    by_hash: HashMap<TicketHash, (Listen, Credential)>,
    /// The oldest first.
    ages: VecDeque<TicketHash>,
}

impl ListenTickets {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            tickets: Mutex::default(),
            max,
        }
    }

    /// Makes a ticket good for a listen.
    pub(crate) fn put(&self, ticket: &str, listen: Listen, credential: Credential) {
        let hash = hash(ticket);
        let mut tickets = self.lock();
        while tickets.ages.len() >= self.max.max(1) {
            if let Some(oldest) = tickets.ages.pop_front() {
                tickets.by_hash.remove(&oldest);
            }
        }
        tickets.ages.push_back(hash);
        tickets.by_hash.insert(hash, (listen, credential));
    }

    /// What a ticket is good for, if for anything. It stays so: an `EventSource` comes back by itself.
    pub(crate) fn get(&self, ticket: &str) -> Option<(Listen, Credential)> {
        self.lock().by_hash.get(&hash(ticket)).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tickets> {
        self.tickets
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn hash(ticket: &str) -> TicketHash {
    Sha256::digest(ticket).into()
}
