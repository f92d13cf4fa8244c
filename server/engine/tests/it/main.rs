//! The engine through its public interface.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod change_feed;
mod commits;
mod concurrency;
mod failures;
mod idempotency;
mod indexes_life;
mod live;
mod live_checker;
mod live_held;
mod live_matching;
mod live_simulation;
mod live_windows;
mod query_behaviour;
mod query_fuzzing;
mod query_naive;
mod rules_commits;
mod rules_hidden;
mod rules_naive;
mod rules_naive_commits;
mod rules_pushdown;
mod rules_races;
mod rules_reads;
mod rules_support;
mod support;
