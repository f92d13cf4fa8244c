//! The bodies of the administration of rules, as the document describes them: see [`super::schemas`].
#![expect(dead_code, reason = "descriptions, not values")]

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::schemas::any;

/// A rules file.
#[derive(ToSchema)]
pub(crate) struct RulesFile {
    /// Its path from the project's folder.
    #[schema(example = "andiron.rules")]
    name: String,
    text: String,
}

/// Rules files.
#[derive(ToSchema)]
pub(crate) struct RulesFilesBody {
    files: Vec<RulesFile>,
}

/// Tests, and the rules to run them on.
#[derive(ToSchema)]
pub(crate) struct RulesTestBody {
    /// The rules; those in force if not given.
    #[schema(nullable = false)]
    files: Option<Vec<RulesFile>>,
    /// The files with the tests.
    tests: Vec<RulesFile>,
}

/// The number of a revision to go back to.
#[derive(ToSchema)]
pub(crate) struct RollbackBody {
    revision: u64,
}

/// The rules in force.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Rules {
    /// Not there if there never were any rules, as everything about the revision.
    #[schema(nullable = false)]
    revision: Option<u64>,
    #[schema(
        nullable = false,
        example = "2026-11-22T05:40:35.123456Z",
        format = "date-time"
    )]
    time: Option<String>,
    /// `files`: the files in the project's folder changed. `api`: they were published. `rollback`: an earlier revision was
    /// taken up again.
    #[schema(nullable = false, example = "files")]
    origin: Option<String>,
    /// Who published them.
    #[schema(nullable = false, example = "key:01kb0x6d1m8vq3z5y7r9t2w4ha")]
    author: Option<String>,
    #[schema(nullable = false)]
    files: Option<Vec<RulesFile>>,
    /// Whether this revision is what judges.
    is_in_force: bool,
    diagnostics: RulesReport,
    /// The files in the project's folder, if they have errors and so are not in force.
    #[schema(nullable = false)]
    refused: Option<RefusedRules>,
}

/// Files that were not put into force.
#[derive(ToSchema)]
pub(crate) struct RefusedRules {
    #[schema(example = "2026-11-22T05:40:35.123456Z", format = "date-time")]
    time: String,
    diagnostics: RulesReport,
}

/// What is wrong with rules, and what may be.
#[derive(ToSchema)]
pub(crate) struct RulesReport {
    /// Whether they could be put into force.
    valid: bool,
    /// Errors and warnings, in the order of the files.
    diagnostics: Vec<Diagnostic>,
}

/// Something to say about a stretch of a rules file.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Diagnostic {
    /// `error` or `warning`.
    #[schema(example = "error")]
    severity: String,
    /// The kind of problem: a heading of the manual.
    #[schema(example = "unknown-name")]
    code: String,
    message: String,
    #[schema(example = "andiron.rules")]
    file: String,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    /// The line of the file, or the part of it around the place.
    excerpt: String,
    /// What to do.
    #[schema(nullable = false)]
    hint: Option<String>,
    /// Where the manual explains the code.
    docs: String,
    /// Other places that matter.
    #[schema(nullable = false)]
    labels: Option<Vec<DiagnosticLabel>>,
}

/// Another place that a diagnostic points at.
#[derive(ToSchema)]
pub(crate) struct DiagnosticLabel {
    file: String,
    line: u32,
    column: u32,
    message: String,
}

/// A set of rules that was in force.
#[derive(ToSchema)]
pub(crate) struct RulesRevision {
    revision: u64,
    #[schema(example = "2026-11-22T05:40:35.123456Z", format = "date-time")]
    time: String,
    #[schema(example = "api")]
    origin: String,
    #[schema(example = "key:01kb0x6d1m8vq3z5y7r9t2w4ha")]
    author: String,
    /// Not in lists.
    #[schema(nullable = false)]
    files: Option<Vec<RulesFile>>,
}

/// Revisions, newest first.
#[derive(ToSchema)]
pub(crate) struct RulesRevisions {
    revisions: Vec<RulesRevision>,
}

/// What a revision changes.
#[derive(ToSchema)]
pub(crate) struct RulesDiff {
    revision: u64,
    /// The revision that it is compared with; 0 is before the first.
    against: u64,
    /// A unified difference.
    diff: String,
}

/// How tests of rules went.
#[derive(ToSchema)]
pub(crate) struct RulesTestReport {
    passed: u64,
    failed: u64,
    /// Each test, with what was not as expected and why.
    tests: Vec<BTreeMap<String, AnyJson>>,
    /// What of the rules was evaluated, by file, line and sub-expression.
    coverage: BTreeMap<String, AnyJson>,
}

/// Any JSON.
pub(crate) struct AnyJson;

impl ToSchema for AnyJson {}

impl PartialSchema for AnyJson {
    fn schema() -> RefOr<Schema> {
        any("Any JSON", [json!({})])
    }
}

/// A request to be explained, or an array of them.
pub(crate) struct ExplainBody;

impl ToSchema for ExplainBody {}

impl PartialSchema for ExplainBody {
    fn schema() -> RefOr<Schema> {
        any(
            "A request to be explained, or an array of them: `service`, `method` (get, list, create, update, delete), `path`, \
             `auth` with `uid` and `token`, `time`, `before` and `after` (the document\u{2019}s data, or null), `query` for a list, \
             `documents` that are taken to be there, by path",
            [json!({"service": "cloud.firestore", "method": "get", "path": "posts/p1"})],
        )
    }
}

/// An explanation, or an array of them.
pub(crate) struct Explanations;

impl ToSchema for Explanations {}

impl PartialSchema for Explanations {
    fn schema() -> RefOr<Schema> {
        any(
            "`allowed`, `decidedBy` (the allow that grants), `tried` (each allow with file, line, column, result, message and \
             the trace of its sub-expressions), `message`",
            [json!({"allowed": false, "decidedBy": null, "tried": []})],
        )
    }
}
