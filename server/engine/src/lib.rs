//! The engine: reads, commits, queries and who may do them, over any store.
//!
//! [`Engine`] is the one door. Whatever it does on behalf of somebody it first puts to `access::authorize`; and each document
//! of what it does on behalf of somebody who is no administrator to the rules that [`Engine::set_rules`] puts into force.
//! Reads are synchronous and run on the caller's thread; commits wait for the one writer; queries that read much run on
//! threads of their own.
//!
//! Deliberately absent: HTTP, JSON bodies beyond stored documents, and any knowledge of how a store keeps its data.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

mod access;
mod cache;
mod commit;
mod committer;
mod engine;
mod error;
mod idempotency;
mod ids;
mod maintenance;
mod metrics;
mod options;
mod read;
mod scope;
mod sink;
mod surroundings;

mod indexes;
mod live;
mod query;
mod rules;

pub use access::{Caller, KeyHolder, User, authorize_administration};
pub use andiron_store::{DocumentRow, LogInfo, StoreError, StoredDocument};
pub use commit::{Committed, WriteOutcome};
pub use engine::Engine;
pub use error::EngineError;
pub use indexes::{FILE_INDEXES_MAX, IndexInfo, IndexPolicy, parse_index_file};
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use live::LiveHand;
pub use live::{
    ChangeFeed, ChangePart, DocumentWatch, LiveChanges, LiveConnection, LiveMessage, LiveTarget, ResumeToken,
    SharedChanges,
};
pub use metrics::EngineMetrics;
pub use options::{EngineOptions, LiveLimits, QueryLimits};
pub use query::{Aggregated, Plan, QueryEnd, QueryOptions};
pub use read::BatchGet;
pub use rules::{
    AccessDenied, Ceiling, CheckedRules, FileJudge, FileMethod, FileOperation, FilePermit, JudgedPermit,
    Published, REVISIONS_MAX, RULES_BYTES_MAX, RULES_ROOTS, RULES_TESTS_MAX, RefusedRules, RulePlace,
    RulesError, RulesFiles, RulesInForce, RulesOrigin, RulesReport, RulesRevision, RulesRevisions,
    RulesTestReport, test_rules,
};
pub use scope::{Permission, SCOPES_MAX, Scope, Scopes};
pub use sink::DocumentSink;
pub use surroundings::{Clock, FatalHook, Randomness, Surroundings};
