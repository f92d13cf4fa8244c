//! Looking at rules without putting them into force: what is wrong with them, how their tests go, why they decide what
//! they decide.

use std::sync::Arc;

use andiron_protocol::InputError;
use andiron_rules::diagnostic::{DiagnosticJson, to_json};
use andiron_rules::evaluate::Coverage;
use andiron_rules::explain::{Explanations, explain_all};
use andiron_rules::testing::{CoverageReport, Subject, TestFile, TestOutcome};
use andiron_rules::{Limits, Source};
use serde::Serialize;

use super::project::{CheckedRules, RulesFiles};
use crate::commit::stored_data;
use crate::{Caller, Engine, EngineError, Permission, authorize_administration};

/// Tests that one call runs.
pub const RULES_TESTS_MAX: usize = 5_000;

/// What is wrong with rules, and what may be.
#[derive(Debug, Serialize)]
pub struct RulesReport<'r> {
    /// Whether they could be put into force.
    pub valid: bool,
    /// Errors and warnings, in the order of the files.
    pub diagnostics: Vec<DiagnosticJson<'r>>,
}

/// How tests went.
#[derive(Debug, Serialize)]
pub struct RulesTestReport {
    /// Tests of which every expectation was met.
    pub passed: usize,
    /// The others.
    pub failed: usize,
    /// Each test, in the order of the files.
    pub tests: Vec<TestOutcome>,
    /// What of the rules they have evaluated.
    pub coverage: CoverageReport,
}

impl CheckedRules {
    /// The diagnostics as programs read them.
    pub fn report(&self) -> RulesReport<'_> {
        let sources = self.program().sources();
        RulesReport {
            valid: !self.has_errors(),
            diagnostics: self
                .diagnostics()
                .into_iter()
                .map(|diagnostic| to_json(diagnostic, sources))
                .collect(),
        }
    }

    /// The first error, as one line: file, line, column and what is wrong.
    pub fn first_error(&self) -> Option<String> {
        let report = self.report();
        let mut errors = report
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == andiron_rules::Severity::Error);
        let first = errors.next()?;
        let more = match errors.count() {
            0 => String::new(),
            1 => ", and one more error".to_owned(),
            more => format!(", and {more} more errors"),
        };
        Some(format!(
            "`{}`, line {}, column {}: {}{more}",
            first.file, first.line, first.column, first.message
        ))
    }
}

/// Runs test files, given as names and texts, on rules.
///
/// # Errors
/// If the rules or a test file have errors, or there are more tests than [`RULES_TESTS_MAX`].
pub fn test_rules(
    files: &RulesFiles,
    limits: &Limits,
    tests: &[(String, String)],
) -> Result<RulesTestReport, InputError> {
    let checked = CheckedRules::of(files, limits);
    if let Some(error) = checked.first_error() {
        return Err(InputError::new(format!("the rules have errors: {error}")).in_field("files"));
    }
    let subject = Subject::new(checked.into_program(), limits.clone());
    let mut coverage = Coverage::default();
    let mut outcomes = Vec::new();
    for (name, text) in tests {
        let source = Source::new(name.as_str(), text.as_str())
            .map_err(|error| InputError::new(error.to_string()).in_field("tests"))?;
        let file = TestFile::read(source);
        if let Some(error) = file
            .diagnostics()
            .iter()
            .find(|diagnostic| diagnostic.severity == andiron_rules::Severity::Error)
        {
            let position = file.sources().position(error.span);
            let detail = format!("`{name}`: {}", error.message);
            return Err(InputError::new(detail)
                .in_field("tests")
                .at(position.line, position.column));
        }
        if outcomes.len() + file.test_count() > RULES_TESTS_MAX {
            let detail = format!("there are more than {RULES_TESTS_MAX} tests; run them in parts");
            return Err(InputError::new(detail).in_field("tests"));
        }
        outcomes.extend(file.run(&subject, &mut coverage));
    }
    let mut report = CoverageReport::default();
    report.add(subject.program(), subject.checked(), &coverage);
    let passed = outcomes.iter().filter(|outcome| outcome.passes()).count();
    Ok(RulesTestReport {
        passed,
        failed: outcomes.len() - passed,
        tests: outcomes,
        coverage: report,
    })
}

impl Engine {
    /// Explains what the rules in force say to a request, or to an array of them, given as JSON. Documents that rules look
    /// up and that a request does not bring are read from the store.
    ///
    /// # Errors
    /// If the caller is no administrator, the JSON is not that of requests, no rules are in force, or the store cannot be
    /// read.
    pub fn explain_rules(&self, caller: &Caller, json: &[u8]) -> Result<Explanations, EngineError> {
        authorize_administration(caller, Permission::RulesRead)?;
        let rules = self.rules().ok_or_else(|| {
            InputError::new("no rules are in force, so everything is denied but to administrators")
        })?;
        let snapshot = self.shared.store.snapshot()?;
        let mut failure = None;
        let explained = explain_all(rules.ruleset(), rules.program(), json, self.now(), &mut |path| {
            if path.is_system() {
                return None;
            }
            let read = || match snapshot.get_stored(path)? {
                Some(document) => stored_data(&document).map(|data| Some(Arc::new(data))),
                None => Ok(None),
            };
            read().unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        })?;
        failure.map_or(Ok(explained), Err)
    }
}
