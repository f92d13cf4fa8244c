//! How indexes come and go.

use std::time::Duration;

use andiron_store::IndexDefinition;

/// How indexes come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexPolicy {
    /// Queries that read many more documents than they return get an index; unused ones go.
    Adaptive {
        /// Indexes that may exist for one collection name. Default 12.
        per_collection_max: usize,
        /// How long an index may go unused before it is dropped. Default 7 days.
        unused_max: Duration,
    },
    /// Exactly these, as a project's file names them.
    Fixed(Vec<IndexDefinition>),
}

impl Default for IndexPolicy {
    fn default() -> Self {
        Self::Adaptive {
            per_collection_max: 12,
            unused_max: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
