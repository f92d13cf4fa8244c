//! Enforcement of the rules: what a caller who is no administrator may do.
//!
//! `andiron-rules` judges and knows no store; here it is given what it asks for. [`RulesInForce`] is a ruleset with what it
//! takes to tell where a denial comes from. A [`Judge`] is the rules in force, the caller and the time of one request,
//! so that one request is judged by one version of the rules from its beginning to its end. What the rules look up is
//! [`Known`] from then on.
//!
//! Invariant: what is decided and what is done see the same documents. A read is decided on the state that it is answered
//! from; the documents that a commit's decision looked up go with the commit to the store, which finds out if one of them
//! has changed; and the writer takes a decision only from the rules that are in force when it applies the commit.
//!
//! [`RulesRevisions`] keeps what was ever in force, as documents. Left out: files on a disk, and who may change rules.

mod accounts;
mod denial;
mod files;
mod in_force;
mod inspect;
mod judge;
mod known;
mod list;
mod permit;
mod project;
mod revisions;

use andiron_protocol::DocumentPath;
use andiron_store::StoredDocument;

use crate::EngineError;

pub use denial::{AccessDenied, RulePlace};
pub use files::{FileJudge, FileMethod, FileOperation, FilePermit};
pub use in_force::RulesInForce;
pub use inspect::{RULES_TESTS_MAX, RulesReport, RulesTestReport, test_rules};
pub use permit::{Ceiling, JudgedPermit};
pub use project::{CheckedRules, RULES_BYTES_MAX, RULES_ROOTS, RulesFiles};
pub use revisions::{
    Published, REVISIONS_MAX, RefusedRules, RulesError, RulesOrigin, RulesRevision, RulesRevisions,
};

pub(crate) use in_force::RulesPlace;
pub(crate) use judge::{Judge, Operation};
pub(crate) use known::Known;
pub(crate) use list::ListJudge;

/// How documents of one state are read.
pub(crate) type ReadDocument<'r> =
    &'r mut dyn FnMut(&DocumentPath) -> Result<Option<StoredDocument>, EngineError>;
