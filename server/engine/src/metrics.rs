//! What the engine counts, for `/metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Counters and histograms of one engine.
#[derive(Debug)]
pub struct EngineMetrics {
    /// Commits that were answered with success.
    pub commits: Counter,
    /// Commits that were prepared again because what they had read changed.
    pub commits_prepared_again: Counter,
    /// Commits per group, that is per sync.
    pub group_commits: Histogram,
    /// Seconds from the beginning of a group's sync to its end.
    pub sync_seconds: Histogram,
    /// Commits that wait for the writer.
    pub commit_queue: Gauge,
    /// Gets that the cache answered.
    pub cache_hits: Counter,
    /// Gets that the store answered.
    pub cache_misses: Counter,
    /// Queries and aggregations that were answered.
    pub queries: Counter,
    /// Index entries and documents that queries read.
    pub query_reads: Counter,
    /// Documents that queries returned.
    pub query_documents: Counter,
}

impl Default for EngineMetrics {
    fn default() -> Self {
        Self {
            commits: Counter::default(),
            commits_prepared_again: Counter::default(),
            group_commits: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            sync_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            commit_queue: Gauge::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            queries: Counter::default(),
            query_reads: Counter::default(),
            query_documents: Counter::default(),
        }
    }
}

impl EngineMetrics {
    /// Adds everything to a registry, under `andiron_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "andiron_commits",
            "Commits answered with success",
            self.commits.clone(),
        );
        registry.register(
            "andiron_commits_prepared_again",
            "Commits prepared again because what they had read changed",
            self.commits_prepared_again.clone(),
        );
        registry.register(
            "andiron_group_commits",
            "Commits per group (one sync each)",
            self.group_commits.clone(),
        );
        registry.register(
            "andiron_sync_seconds",
            "Seconds that syncing a group took",
            self.sync_seconds.clone(),
        );
        registry.register(
            "andiron_commit_queue",
            "Commits waiting for the writer",
            self.commit_queue.clone(),
        );
        registry.register(
            "andiron_cache_hits",
            "Gets answered by the cache",
            self.cache_hits.clone(),
        );
        registry.register(
            "andiron_cache_misses",
            "Gets answered by the store",
            self.cache_misses.clone(),
        );
        registry.register(
            "andiron_queries",
            "Queries and aggregations answered",
            self.queries.clone(),
        );
        registry.register(
            "andiron_query_reads",
            "Index entries and documents read by queries",
            self.query_reads.clone(),
        );
        registry.register(
            "andiron_query_documents",
            "Documents returned by queries",
            self.query_documents.clone(),
        );
    }
}
