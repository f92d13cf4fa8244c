//! The engine through its public interface.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod commits;
mod concurrency;
mod failures;
mod idempotency;
mod query_naive;
mod support;
