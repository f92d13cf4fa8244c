//! Explaining a list as a whole.
//!
//! By default a list is answered with what the caller may see of it, and only denied if nothing of it could ever be seen;
//! a strict one is denied unless its query proves that the caller may see all of it.

use std::borrow::Cow;

use andiron_protocol::{Filter, Query, Timestamp};
use serde::{Deserialize, Serialize};

use super::Explained;
use super::answer::{Explanation, Place, TriedAllow, denied_sentence};
use super::request::ExplainRequest;
use super::steps::Index;
use crate::evaluate::{DATABASE_DEFAULT, Decision, Denial, Documents, Method, Request, Ruleset, Target};
use crate::partial::{ListDecision, ListProof, ListRequest, Unproved};
use crate::syntax::ServiceKind;

/// What the rules say of a list as a whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListExplanation {
    /// Whether the query is strict: denied unless all of it is allowed.
    pub strict: bool,
    /// The filter that rules join to the query, as JSON.
    pub filter: Option<serde_json::Value>,
    /// The same as an expression.
    pub filter_expression: Option<String>,
    /// Whether everything that the filter leaves may be seen; otherwise each document is judged on its own too.
    pub exact: bool,
    /// What a strict query leaves open.
    pub missing: Vec<MissingWhere>,
    /// The documents of the request that come back.
    pub gives: Vec<String>,
    /// The documents of the request that the query matches and that do not come back.
    pub hides: Vec<String>,
}

/// A part of a condition that a query does not prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingWhere {
    /// Where it stands, or else the `allow`.
    #[serde(flatten)]
    pub place: Place,
    /// Its text.
    pub expression: String,
    /// The filter that would prove it, as JSON; `null` if none would.
    #[serde(rename = "where")]
    pub where_filter: Option<serde_json::Value>,
    /// The same as an expression.
    pub where_expression: Option<String>,
}

/// What queries would have to say to be proved.
pub(crate) fn missing(index: &Index<'_>, unproved: &[Unproved]) -> Vec<MissingWhere> {
    let mut found: Vec<MissingWhere> = Vec::new();
    for allow in unproved {
        for conjunct in &allow.conjuncts {
            let (place, expression) = match conjunct.span {
                Some(span) => (Place::of(index, span), index.text(span)),
                None => (
                    Place::of(index, allow.allow),
                    "what the pattern demands of the document's id".to_owned(),
                ),
            };
            let entry = MissingWhere {
                place,
                expression,
                where_filter: conjunct.suggestion.as_ref().map(json),
                where_expression: conjunct.suggestion.as_ref().map(Filter::to_expression),
            };
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
    }
    found
}

fn json(filter: &Filter) -> serde_json::Value {
    serde_json::to_value(filter).unwrap_or_default()
}

/// Explains a list of a collection.
pub(super) fn explain_list(
    ruleset: &Ruleset,
    index: &Index<'_>,
    request: &ExplainRequest,
    documents: &Documents,
    now: Timestamp,
) -> Explained {
    let Some(query) = &request.query else {
        return Explained::Answer(Box::new(Explanation::undecided()));
    };
    let list = ListRequest {
        database: DATABASE_DEFAULT,
        query,
        auth: request.auth(),
        time: request.time.unwrap_or(now),
    };
    let mut told = ListExplanation {
        strict: query.strict,
        ..ListExplanation::default()
    };
    let explanation = if query.strict {
        match ruleset.prove_list(&list, documents) {
            ListProof::Needs(paths) => return Explained::Needs(paths),
            ListProof::Allow { lookups } => {
                told.exact = true;
                Explanation::of_list(
                    Ok("allowed: the query proves all that the rules demand"),
                    &lookups,
                )
            }
            ListProof::Deny { denial, unproved } => {
                told.missing = missing(index, &unproved);
                let mut explanation = denied(index, &denial);
                add_unproved(&mut explanation, index, &unproved, &told);
                explanation
            }
        }
    } else {
        match ruleset.decide_list(&list, documents) {
            ListDecision::Needs(paths) => return Explained::Needs(paths),
            ListDecision::Allow { lookups } => {
                told.exact = true;
                Explanation::of_list(Ok("allowed, all of it"), &lookups)
            }
            ListDecision::Deny(denial) => denied(index, &denial),
            ListDecision::Filter(residual) => {
                told.filter = residual.filter.as_ref().map(json);
                told.filter_expression = residual.filter.as_ref().map(Filter::to_expression);
                told.exact = residual.is_exact;
                Explanation::of_list(
                    Ok("allowed: what the rules let the caller see of it comes back"),
                    &residual.lookups,
                )
            }
        }
    };
    if let Err(needs) = judge_documents(ruleset, request, query, documents, now, &mut told) {
        return Explained::Needs(needs);
    }
    if query.strict && !explanation.allowed {
        told.hides.append(&mut told.gives);
    }
    Explained::Answer(Box::new(Explanation {
        list: Some(told),
        ..explanation
    }))
}

/// Judges the documents that the request brings and the query matches.
fn judge_documents(
    ruleset: &Ruleset,
    request: &ExplainRequest,
    query: &Query,
    documents: &Documents,
    now: Timestamp,
    told: &mut ListExplanation,
) -> Result<(), Vec<andiron_protocol::DocumentPath>> {
    for (path, data) in request.documents() {
        let Some(data) = data.as_deref().filter(|data| query.matches(path, data)) else {
            continue;
        };
        let row = Request {
            target: Target::Document {
                database: DATABASE_DEFAULT,
                path,
            },
            method: Method::List,
            auth: request.auth(),
            time: request.time.unwrap_or(now),
            before: Some(data),
            after: None,
            query: Some(query),
        };
        match ruleset.decide(&row, documents) {
            Decision::Allow(_) => told.gives.push(path.to_string()),
            Decision::Deny(_) => told.hides.push(path.to_string()),
            Decision::Needs(paths) => return Err(paths),
        }
    }
    Ok(())
}

fn denied(index: &Index<'_>, denial: &Denial) -> Explanation {
    let sentence = match &denial.error {
        Some(error) => error.to_string(),
        None => denied_sentence(index, ServiceKind::Firestore, "list", denial.tried.len()),
    };
    let mut explanation = Explanation::of_list(Err(&sentence), &denial.lookups);
    explanation.reason.clone_from(&denial.reason);
    explanation.tried = denial
        .tried
        .iter()
        .map(|tried| {
            let (result, message) = match &tried.error {
                Some(error) => ("error", error.to_string()),
                None => (
                    "false",
                    "no document of the query can be allowed by it".to_owned(),
                ),
            };
            TriedAllow::without_trace(index, "list", tried.allow, result, message)
        })
        .collect();
    explanation
}

/// The allows that a strict query does not prove are told as what was tried, with what would prove them.
fn add_unproved(
    explanation: &mut Explanation,
    index: &Index<'_>,
    unproved: &[Unproved],
    told: &ListExplanation,
) {
    for allow in unproved {
        let place = Place::of(index, allow.allow);
        let open: Vec<_> = missing(index, std::slice::from_ref(allow))
            .iter()
            .map(|missing| match &missing.where_expression {
                Some(filter) => format!("`{}`, which `where {filter}` would prove", missing.expression),
                None => format!("`{}`", missing.expression),
            })
            .collect();
        let message = format!("the query leaves open {}", open.join(" and "));
        match explanation.tried.iter_mut().find(|tried| tried.place == place) {
            Some(tried) => tried.message = message,
            None => explanation.tried.push(TriedAllow::without_trace(
                index,
                "list",
                allow.allow,
                "false",
                message,
            )),
        }
    }
    explanation
        .tried
        .sort_by_key(|tried| (tried.place.file.clone(), tried.place.line, tried.place.column));
    if !told.missing.is_empty() {
        "denied: the list is strict, and its query does not prove what the rules demand"
            .clone_into(&mut explanation.message);
    }
}

impl Explanation {
    /// Of a list: allowed or denied, with the sentence.
    fn of_list(outcome: Result<&str, &str>, lookups: &[andiron_protocol::DocumentPath]) -> Self {
        let (Ok(message) | Err(message)) = outcome;
        Self {
            allowed: outcome.is_ok(),
            message: message.to_owned(),
            lookups: lookups.iter().map(ToString::to_string).collect(),
            ..Self::undecided()
        }
    }
}

impl TriedAllow {
    /// An `allow` of which more than its sub-expressions is known.
    fn without_trace(
        index: &Index<'_>,
        method: &'static str,
        allow: crate::source::Span,
        result: &'static str,
        message: String,
    ) -> Self {
        Self {
            place: Place::of(index, allow),
            method: Cow::Borrowed(method),
            text: index.text(allow),
            result: Cow::Borrowed(result),
            message,
            would_pass: None,
            trace: Vec::new(),
        }
    }
}
