//! Tokens whose signatures were verified, so that the next request with one costs a look-up.
//!
//! An entry says at which versions of the account's and the session's documents the token was found good. It counts only
//! while both are still at those versions, which the engine's cache knows; so there is nothing to drop when a session
//! is revoked or an account disabled: the entry has simply ended.

use std::sync::Arc;

use andiron_engine::User;
use andiron_protocol::{DocumentPath, Timestamp, Version};
use lru::LruCache;
use parking_lot::Mutex;

/// Tokens remembered at once, of all sessions together.
const VERIFIED_MAX: usize = 8192;

/// A token that was found good.
#[derive(Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) user: Arc<User>,
    pub(crate) expires: Timestamp,
    pub(crate) account: (DocumentPath, Version),
    pub(crate) session: (DocumentPath, Version),
}

/// The tokens by their text.
pub(crate) struct VerifiedTokens(Mutex<LruCache<Box<str>, Arc<VerifiedToken>>>);

impl VerifiedTokens {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }

    pub(crate) fn get(&self, token: &str) -> Option<Arc<VerifiedToken>> {
        self.0.lock().get(token).map(Arc::clone)
    }

    pub(crate) fn put(&self, token: &str, verified: Arc<VerifiedToken>) {
        let mut tokens = self.0.lock();
        while tokens.len() >= VERIFIED_MAX {
            tokens.pop_lru();
        }
        tokens.put(token.into(), verified);
    }

    pub(crate) fn remove(&self, token: &str) {
        self.0.lock().pop(token);
    }
}
