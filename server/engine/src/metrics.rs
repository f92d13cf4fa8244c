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
    /// Connections that may listen.
    pub live_connections: Gauge,
    /// Listens.
    pub live_listens: Gauge,
    /// Queries and documents that are watched for listens; listens to the same share one.
    pub live_views: Gauge,
    /// Steps told, counted for each listen that was told.
    pub live_deliveries: Counter,
    /// Listens that began with their whole result.
    pub live_resets: Counter,
    /// Listens that went on from where they were.
    pub live_resumes: Counter,
    /// Steps that a listen was not told because its client had not taken what came before.
    pub live_skips: Counter,
    /// Steps with too many changes, after which listens began anew.
    pub live_steps_too_large: Counter,
    /// Seconds that a step of all listens took.
    pub live_step_seconds: Histogram,
    /// Seconds of a step that went into finding the views that its changes concern.
    pub live_match_seconds: Histogram,
    /// Views that a change might have concerned and that were asked, counted for each change.
    pub live_candidates: Counter,
    /// Queries with a limit that were run again because what is kept of their window was used up.
    pub live_window_runs: Counter,
    /// Bytes that wait for clients.
    pub live_queue_bytes: Gauge,
    /// Connections that have not taken all that they were told.
    pub live_untaken: Gauge,
    /// Those who follow the change log.
    pub live_change_feeds: Gauge,
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
            live_connections: Gauge::default(),
            live_listens: Gauge::default(),
            live_views: Gauge::default(),
            live_deliveries: Counter::default(),
            live_resets: Counter::default(),
            live_resumes: Counter::default(),
            live_skips: Counter::default(),
            live_steps_too_large: Counter::default(),
            live_step_seconds: Histogram::new(exponential_buckets(0.000_01, 4.0, 10)),
            live_match_seconds: Histogram::new(exponential_buckets(0.000_001, 4.0, 10)),
            live_candidates: Counter::default(),
            live_window_runs: Counter::default(),
            live_queue_bytes: Gauge::default(),
            live_untaken: Gauge::default(),
            live_change_feeds: Gauge::default(),
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
        self.register_live(registry);
    }

    fn register_live(&self, registry: &mut Registry) {
        registry.register(
            "andiron_live_connections",
            "Connections that may listen",
            self.live_connections.clone(),
        );
        registry.register("andiron_live_listens", "Listens", self.live_listens.clone());
        registry.register(
            "andiron_live_views",
            "Queries and documents watched for listens; equal ones are one",
            self.live_views.clone(),
        );
        registry.register(
            "andiron_live_deliveries",
            "Steps told, counted for each listen that was told",
            self.live_deliveries.clone(),
        );
        registry.register(
            "andiron_live_resets",
            "Listens that began with their whole result",
            self.live_resets.clone(),
        );
        registry.register(
            "andiron_live_resumes",
            "Listens that went on from where they were",
            self.live_resumes.clone(),
        );
        registry.register(
            "andiron_live_skips",
            "Steps not told because a client was behind",
            self.live_skips.clone(),
        );
        registry.register(
            "andiron_live_steps_too_large",
            "Steps with too many changes, after which listens began anew",
            self.live_steps_too_large.clone(),
        );
        registry.register(
            "andiron_live_step_seconds",
            "Seconds that a step of all listens took",
            self.live_step_seconds.clone(),
        );
        registry.register(
            "andiron_live_match_seconds",
            "Time of a step that went into finding whom its changes concern",
            self.live_match_seconds.clone(),
        );
        registry.register(
            "andiron_live_candidates",
            "Views that a change might have concerned and that were asked, counted for each change",
            self.live_candidates.clone(),
        );
        registry.register(
            "andiron_live_window_runs",
            "Queries with a limit that were run again because what is kept of their window was used up",
            self.live_window_runs.clone(),
        );
        registry.register(
            "andiron_live_queue_bytes",
            "Bytes that wait for clients that listen",
            self.live_queue_bytes.clone(),
        );
        registry.register(
            "andiron_live_untaken",
            "Connections that have not taken all that they were told",
            self.live_untaken.clone(),
        );
        registry.register(
            "andiron_live_change_feeds",
            "Those who follow the change log",
            self.live_change_feeds.clone(),
        );
    }
}
