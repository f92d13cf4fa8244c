//! The explanation of one request, as programs read it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::list::ListExplanation;
use super::obstacle::{Obstacle, obstacle};
use super::steps::{Index, tree};
use crate::evaluate::{Attempt, Decision, EvaluationError, Request};
use crate::source::Span;
use crate::syntax::ServiceKind;

/// Why a request is allowed or denied.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The `allow` that grants it.
    pub decided_by: Option<TriedAllow>,
    /// The allows that were asked and did not grant it, in the order of the file.
    pub tried: Vec<TriedAllow>,
    /// What is the matter, in a sentence.
    pub message: String,
    /// What the client is told besides that it is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the document is not of the type that its match requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<FieldProblem>,
    /// For a list as a whole: what the rules demand of its documents, and what the query leaves open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListExplanation>,
    /// The documents that were looked up.
    pub lookups: Vec<String>,
}

/// A place in a rules file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// An `allow` that was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriedAllow {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The method that it was asked about.
    pub method: Cow<'static, str>,
    /// Its text.
    pub text: String,
    /// `true`, `false` or `error`.
    pub result: Cow<'static, str>,
    /// Why, in a sentence.
    pub message: String,
    /// What would have to be otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_pass: Option<WouldPass>,
    /// What its sub-expressions came to, each behind those inside of it.
    pub trace: Vec<Step>,
}

/// What would have to be otherwise for a condition to be true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WouldPass {
    /// All of these.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// A sub-expression.
    #[serde(untagged)]
    Part {
        /// Where it stands.
        #[serde(flatten)]
        place: Place,
        /// Its text.
        expression: String,
        /// What it would have to be.
        wanted: bool,
        /// What it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// Why it has no value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The values that it was made of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        operands: Vec<Operand>,
    },
}

/// A value that something was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operand {
    /// Its text.
    pub expression: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it has no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A sub-expression that was evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// How deep it was evaluated: 1 is the condition.
    pub depth: u16,
    /// Its text.
    pub expression: String,
    /// What it came to, as a rule would write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it has no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where a document is not of its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldProblem {
    /// Where the type is required.
    #[serde(flatten)]
    pub place: Place,
    /// The field, as in `author.name` or `tags[2]`; empty for the document itself.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Explanation {
    pub(crate) fn new(
        index: &Index<'_>,
        request: &Request<'_>,
        decision: &Decision,
        attempts: &[Attempt],
    ) -> Self {
        let method = request.method.as_str();
        let granting = match decision {
            Decision::Allow(grant) => Some(grant.by),
            Decision::Deny(_) | Decision::Needs(_) => None,
        };
        let (mut decided_by, mut tried) = (None, Vec::new());
        for attempt in attempts {
            let told = TriedAllow::new(index, method, attempt);
            // With a type to be tested a grant is not the end, and without a type that fits it is none.
            match attempt.result {
                Ok(true) if granting == Some(attempt.allow) => decided_by = Some(told),
                Ok(true) => {}
                _ => tried.push(told),
            }
        }
        let mut explanation = Self {
            allowed: granting.is_some(),
            decided_by,
            tried,
            message: String::new(),
            reason: None,
            mismatch: None,
            list: None,
            lookups: Vec::new(),
        };
        let lookups = match decision {
            Decision::Allow(grant) => &grant.lookups[..],
            Decision::Deny(denial) => {
                explanation.reason.clone_from(&denial.reason);
                explanation.mismatch = denial.mismatch.as_ref().map(|(span, mismatch)| FieldProblem {
                    place: Place::of(index, *span),
                    field: mismatch.field.clone(),
                    problem: mismatch.problem.clone(),
                });
                &denial.lookups[..]
            }
            Decision::Needs(_) => &[],
        };
        explanation.lookups = lookups.iter().map(ToString::to_string).collect();
        explanation.message = explanation.sentence(index, request, decision);
        explanation
    }

    /// What is said where documents that are supplied again and again do not suffice, which no program should show.
    pub(crate) fn undecided() -> Self {
        Self {
            allowed: false,
            decided_by: None,
            tried: Vec::new(),
            message: "the documents that were supplied do not suffice to decide".to_owned(),
            reason: None,
            mismatch: None,
            list: None,
            lookups: Vec::new(),
        }
    }

    fn sentence(&self, index: &Index<'_>, request: &Request<'_>, decision: &Decision) -> String {
        let method = request.method.as_str();
        match (decision, &self.decided_by, &self.mismatch) {
            (Decision::Allow(_), Some(by), _) => {
                format!(
                    "allowed by {}:{}:{}",
                    by.place.file, by.place.line, by.place.column
                )
            }
            (Decision::Deny(denial), ..) if denial.error.is_some() => {
                denial.error.as_ref().map(ToString::to_string).unwrap_or_default()
            }
            (_, _, Some(problem)) if problem.field.is_empty() => {
                format!("the document {}", problem.problem)
            }
            (_, _, Some(problem)) => format!("field `{}` {}", problem.field, problem.problem),
            _ => denied_sentence(index, request.target.service(), method, self.tried.len()),
        }
    }
}

/// Why something is denied that so many allows were asked about.
pub(super) fn denied_sentence(index: &Index<'_>, service: ServiceKind, method: &str, tried: usize) -> String {
    let mut services = index.program().roots().iter().flat_map(|file| file.services());
    match tried {
        0 if services.any(|found| found.kind == Some(service)) => {
            format!("denied: no `allow` covers a {method} of this path")
        }
        0 => format!("denied: there are no rules for `{}`", service.as_str()),
        1 => format!("denied: the `allow` that covers this {method} does not grant it"),
        count => format!("denied: none of the {count} allows that cover this {method} grants it"),
    }
}

impl Place {
    pub(crate) fn of(index: &Index<'_>, span: Span) -> Self {
        let position = index.position(span);
        Self {
            file: index.sources().get(span.file).name().to_owned(),
            line: position.line,
            column: position.column,
        }
    }
}

impl TriedAllow {
    pub(crate) fn new(index: &Index<'_>, method: &'static str, attempt: &Attempt) -> Self {
        let tree = tree(attempt);
        let would_pass = match attempt.result {
            Ok(true) => None,
            _ => tree
                .as_ref()
                .and_then(|tree| obstacle(index, tree, true))
                .map(|obstacle| WouldPass::new(index, &obstacle)),
        };
        let (result, message) = match &attempt.result {
            Ok(true) => ("true", "its condition is true".to_owned()),
            Ok(false) => (
                "false",
                match &would_pass {
                    Some(obstacle) => obstacle.sentence(),
                    None => "its condition is false".to_owned(),
                },
            ),
            Err(error) => ("error", error.to_string()),
        };
        let steps = attempt.trace.iter().map(|entry| {
            let (value, error) = parts(&entry.result);
            Step {
                place: Place::of(index, entry.span),
                depth: entry.depth,
                expression: index.text(entry.span),
                value,
                error,
            }
        });
        Self {
            place: Place::of(index, attempt.allow),
            method: Cow::Borrowed(method),
            text: index.text(attempt.allow),
            result: Cow::Borrowed(result),
            message,
            would_pass,
            trace: steps.collect(),
        }
    }
}

impl WouldPass {
    pub(crate) fn new(index: &Index<'_>, obstacle: &Obstacle<'_>) -> Self {
        let all = |parts: &[Obstacle<'_>]| parts.iter().map(|part| Self::new(index, part)).collect();
        match obstacle {
            Obstacle::All(parts) => Self::All(all(parts)),
            Obstacle::Any(parts) => Self::Any(all(parts)),
            Obstacle::Part {
                span,
                result,
                wanted,
                operands,
            } => {
                let (value, error) = parts(result);
                let operands = operands.iter().map(|(span, result)| {
                    let (value, error) = parts(result);
                    Operand {
                        expression: index.text(*span),
                        value,
                        error,
                    }
                });
                Self::Part {
                    place: Place::of(index, *span),
                    expression: index.text(*span),
                    wanted: *wanted,
                    value,
                    error,
                    operands: operands.collect(),
                }
            }
        }
    }

    /// The first thing to look at, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::All(parts) | Self::Any(parts) => match parts.first() {
                Some(first) => first.sentence(),
                None => "its condition is false".to_owned(),
            },
            Self::Part {
                expression,
                value,
                error,
                operands,
                ..
            } => {
                let mut sentence = told(expression, value.as_deref(), error.as_deref());
                for (place, operand) in operands.iter().enumerate() {
                    sentence.push_str(if place == 0 { ": " } else { ", " });
                    sentence.push_str(&told(
                        &operand.expression,
                        operand.value.as_deref(),
                        operand.error.as_deref(),
                    ));
                }
                sentence
            }
        }
    }
}

fn told(expression: &str, value: Option<&str>, error: Option<&str>) -> String {
    match (value, error) {
        (Some(value), _) => format!("`{expression}` is {value}"),
        (None, Some(error)) => format!("`{expression}` fails: {error}"),
        (None, None) => format!("`{expression}`"),
    }
}

fn parts(result: &Result<String, EvaluationError>) -> (Option<String>, Option<String>) {
    match result {
        Ok(value) => (Some(value.clone()), None),
        Err(error) => (None, Some(error.to_string())),
    }
}
