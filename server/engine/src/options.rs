//! The engine's settings and limits, each with its default.

use std::time::Duration;

use crate::indexes::IndexPolicy;

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Bytes that the cache of hot documents may hold. Default 16 MiB; 0 turns it off.
    pub cache_bytes_max: usize,
    /// Commits that may wait for the writer; more are answered `unavailable`. Default 4,096.
    pub commit_queue_max: usize,
    /// Bytes of documents in commits that wait for the writer; more are answered `unavailable`. Default 256 MiB.
    pub commit_queue_bytes_max: usize,
    /// Commits that one group takes at most. Default 256.
    pub group_commits_max: usize,
    /// How long the change log, and with it history, is kept. Default 7 days.
    pub history_age_max: Duration,
    /// Bytes of documents as they were before that the change log may hold. Default 2 GiB.
    pub history_bytes_max: u64,
    /// Limits of one query.
    pub query: QueryLimits,
    /// Threads for queries that read much. Default 2.
    pub scan_threads: usize,
    /// Queries that may wait for such a thread; more are answered `unavailable`. Default 256.
    pub scan_queue_max: usize,
    /// Streamed queries that may run at one time, each on a thread of its own; more are answered `unavailable`. Default 64.
    pub streams_max: usize,
    /// How indexes come and go.
    pub indexes: IndexPolicy,
    /// Limits of live queries.
    pub live: LiveLimits,
}

/// Limits of live queries.
#[derive(Clone, Copy, Debug)]
pub struct LiveLimits {
    /// Listens at one time, all connections together. Default 250,000.
    pub listens_max: usize,
    /// Listens of one connection. Default 1,000.
    pub connection_listens_max: usize,
    /// Documents of a result that is listened to. Default 100,000.
    pub result_documents_max: usize,
    /// Bytes of the documents of a result that is listened to. Default 64 MiB.
    pub result_bytes_max: usize,
    /// Bytes of changes that may wait for a client. One that has more waiting is told nothing until it has taken them,
    /// and then what is new in one larger step. Default 256 KiB.
    pub queue_bytes_max: usize,
    /// Changes that one step takes; where there are more, listens begin anew. Default 50,000.
    pub step_changes_max: usize,
    /// Bytes of documents, before and after, that one step takes; where there are more, listens begin anew. Default
    /// 64 MiB.
    pub step_bytes_max: usize,
    /// Threads that run queries for listens that begin. Default 2.
    pub start_threads: usize,
    /// Those who follow the change log at one time. Default 100.
    pub change_feeds_max: usize,
}

/// Limits of one query.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Index entries and documents that a query may read. Default 1,000,000; streams are free of it.
    pub reads_max: u64,
    /// How long a query may take. Default 5 s; streams are free of it.
    pub time_max: Duration,
    /// Bytes of documents that a sort may hold. Default 64 MiB.
    pub sort_bytes_max: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache_bytes_max: 16 * 1024 * 1024,
            commit_queue_max: 4096,
            commit_queue_bytes_max: 256 * 1024 * 1024,
            group_commits_max: 256,
            history_age_max: Duration::from_secs(7 * 24 * 3600),
            history_bytes_max: 2 * 1024 * 1024 * 1024,
            query: QueryLimits::default(),
            scan_threads: 2,
            scan_queue_max: 256,
            streams_max: 64,
            indexes: IndexPolicy::default(),
            live: LiveLimits::default(),
        }
    }
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            listens_max: 250_000,
            connection_listens_max: 1_000,
            result_documents_max: 100_000,
            result_bytes_max: 64 * 1024 * 1024,
            queue_bytes_max: 256 * 1024,
            step_changes_max: 50_000,
            step_bytes_max: 64 * 1024 * 1024,
            start_threads: 2,
            change_feeds_max: 100,
        }
    }
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            reads_max: 1_000_000,
            time_max: Duration::from_secs(5),
            sort_bytes_max: 64 * 1024 * 1024,
        }
    }
}
