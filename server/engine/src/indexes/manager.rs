//! Builds and drops indexes in the background.

use std::sync::Arc;

use crate::EngineError;
use crate::committer::Committer;
use crate::engine::Shared;
use crate::query::Request;

/// Owns the indexes of an engine.
pub(crate) struct IndexManager {}

impl IndexManager {
    pub(crate) fn start(_shared: Arc<Shared>, _committer: Arc<Committer>) -> Result<Self, EngineError> {
        Ok(Self {})
    }

    pub(crate) fn observe(&self, _request: &Request<'_>, _reads: u64, _returned: u64) {}

    pub(crate) fn close(&self) {}
}
