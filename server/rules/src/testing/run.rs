//! Judging expectations.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Query};
use serde::Serialize;

use super::Subject;
use super::compile::{Asker, Case, Check, Operation, Place, Work, World};
use super::syntax::Detail;
use crate::evaluate::{
    Auth, BatchDecision, Coverage, DATABASE_DEFAULT, Decision, Denial, Documents, Method, Request, Target,
};
use crate::explain::{Explanation, Index, missing};
use crate::partial::{ListProof, ListRequest};
use crate::source::{Sources, Span};
use crate::syntax::ServiceKind;

/// What came of one test.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// How many expectations it has.
    pub expectations: usize,
    /// Those that were not met.
    pub failures: Vec<Failure>,
}

impl TestOutcome {
    /// Whether every expectation was met.
    pub fn passes(&self) -> bool {
        self.failures.is_empty()
    }
}

/// An expectation that was not met.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The file that it stands in.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// Its text.
    pub expectation: String,
    /// What happened instead.
    pub message: String,
    /// Why, for each document that the expectation is about.
    pub explanations: Vec<SubjectExplanation>,
    /// Where it stands, for showing it.
    #[serde(skip)]
    pub span: Span,
}

/// Why something is allowed or denied.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectExplanation {
    /// The operation and the document or file, as in `update /posts/p1`.
    pub operation: String,
    /// Why.
    #[serde(flatten)]
    pub explanation: Explanation,
}

pub(super) fn run(
    cases: &[Case],
    sources: &Sources,
    subject: &Subject,
    coverage: &mut Coverage,
) -> Vec<TestOutcome> {
    let index = Index::new(&subject.program);
    let outcomes = cases.iter().map(|case| {
        let failures = case.checks.iter().filter_map(|check| {
            let judge = Judge {
                subject,
                index: &index,
                check,
            };
            let problem = judge.problem(coverage)?;
            let position = sources.position(check.span);
            Some(Failure {
                file: sources.get(check.span.file).name().to_owned(),
                line: position.line,
                column: position.column,
                expectation: sources
                    .text(check.span)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                message: problem.message,
                explanations: problem.explanations,
                span: check.span,
            })
        });
        let failures = failures.collect();
        let position = sources.position(case.span);
        TestOutcome {
            name: case.name.to_string(),
            file: sources.get(case.span.file).name().to_owned(),
            line: position.line,
            column: position.column,
            expectations: case.checks.len(),
            failures,
        }
    });
    outcomes.collect()
}

/// How an expectation was not met.
struct Problem {
    message: String,
    explanations: Vec<SubjectExplanation>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            explanations: Vec::new(),
        }
    }
}

struct Judge<'t> {
    subject: &'t Subject,
    index: &'t Index<'t>,
    check: &'t Check,
}

impl<'t> Judge<'t> {
    /// What is wrong, if something is.
    fn problem(&self, coverage: &mut Coverage) -> Option<Problem> {
        if matches!(self.check.asker, Asker::Admin) {
            return self.problem_of_admin();
        }
        match &self.check.work {
            Work::One(operation) => self.one(operation, coverage),
            Work::Commit(operations) => self.commit(operations, coverage),
            Work::List { query, gives } => self.list(query, gives.as_deref(), coverage),
        }
    }

    /// An administrator passes every rule.
    fn problem_of_admin(&self) -> Option<Problem> {
        if !self.check.allows {
            return Some(Problem::new(
                "expected to be denied, but an admin passes every rule",
            ));
        }
        match &self.check.work {
            Work::List {
                query,
                gives: Some(wanted),
            } => {
                let found = window(query, self.matching(query));
                not_given(wanted, &found)
            }
            _ => None,
        }
    }

    fn one(&self, operation: &Operation, coverage: &mut Coverage) -> Option<Problem> {
        if let Place::Account(_) = operation.place
            && !self.subject.ruleset.has_service(ServiceKind::Accounts)
        {
            return Some(Problem::new(
                "these rules have no `service andiron.auth`, so they have no say in who signs up: settings alone do",
            ));
        }
        let commit = std::slice::from_ref(operation);
        let decision = self.decide(operation, commit, None, coverage);
        let problem = match (&decision, self.check.allows) {
            (Decision::Allow(grant), true) => self.details(Some(grant.by), None),
            (Decision::Deny(denial), false) => self.details(None, Some(denial)),
            (Decision::Deny(_), true) => Some("expected to be allowed, but it is denied".to_owned()),
            (Decision::Allow(_) | Decision::Needs(_), _) => {
                Some("expected to be denied, but it is allowed".to_owned())
            }
        };
        Some(Problem {
            message: problem?,
            explanations: vec![self.explanation(operation, commit, None)],
        })
    }

    fn commit(&self, operations: &[Operation], coverage: &mut Coverage) -> Option<Problem> {
        // Counting is for one operation at a time.
        for operation in operations {
            self.decide(operation, operations, None, coverage);
        }
        let requests: Vec<_> = operations
            .iter()
            .map(|operation| self.request(operation, None))
            .collect();
        let mut documents = self.documents(operations);
        let decision = loop {
            match self.subject.ruleset.decide_all(&requests, &documents) {
                BatchDecision::Needs(paths) => self.supply(&mut documents, paths),
                decision => break decision,
            }
        };
        let (message, shown) = match (&decision, self.check.allows) {
            (BatchDecision::Deny { index, denial }, false) => (self.details(None, Some(denial))?, *index),
            (BatchDecision::Deny { index, .. }, true) => {
                let shown = shown_place(&operations[*index].place);
                let message = format!(
                    "expected to be allowed, but it is denied because of the {} of {shown}",
                    operations[*index].method.as_str(),
                );
                (message, *index)
            }
            (BatchDecision::Allow { by, .. }, true) => {
                let fits = by.iter().any(|by| self.details(Some(*by), None).is_none());
                if fits {
                    return None;
                }
                (self.details(by.first().copied(), None)?, 0)
            }
            (BatchDecision::Allow { .. } | BatchDecision::Needs(_), _) => {
                ("expected to be denied, but all of it is allowed".to_owned(), 0)
            }
        };
        let explanations = if self.check.allows {
            vec![self.explanation(&operations[shown], operations, None)]
        } else {
            operations
                .iter()
                .map(|operation| self.explanation(operation, operations, None))
                .collect()
        };
        Some(Problem {
            message,
            explanations,
        })
    }

    fn list(
        &self,
        query: &Query,
        gives: Option<&[DocumentPath]>,
        coverage: &mut Coverage,
    ) -> Option<Problem> {
        let matching = self.matching(query);
        let mut denied = Vec::new();
        let mut visible = Vec::new();
        for (path, data) in &matching {
            let operation = row(path, data);
            match self.decide(&operation, &[], Some(query), coverage) {
                Decision::Allow(_) => visible.push((path.clone(), Arc::clone(data))),
                Decision::Deny(denial) => denied.push((operation, denial)),
                Decision::Needs(_) => {}
            }
        }
        if query.strict {
            return self.strict_list(query, gives, &matching, &denied);
        }
        let all = window(query, matching);
        let seen = window(query, visible);
        let explanations = || {
            let shown = denied
                .iter()
                .take(EXPLAINED_DOCUMENTS_MAX)
                .map(|(operation, _)| self.explanation(operation, &[], Some(query)));
            shown.collect()
        };
        if let Some(wanted) = gives {
            let problem = not_given(wanted, &seen)?;
            return Some(Problem {
                explanations: explanations(),
                ..problem
            });
        }
        if all.is_empty() {
            return Some(Problem::new(
                "no given document matches the query, so there is nothing to judge; put one into `given`, or say `gives nothing`",
            ));
        }
        match (self.check.allows, seen.is_empty()) {
            (true, _) if seen == all => None,
            (true, true) => Some(Problem {
                message: "expected to be allowed, but every document that the query matches is hidden"
                    .to_owned(),
                explanations: explanations(),
            }),
            (true, false) => Some(Problem {
                message: format!(
                    "expected to be allowed whole, but it gives {} of {}: {}; what comes back is said with `gives {}`",
                    seen.len(),
                    all.len(),
                    shown_paths(&seen),
                    shown_paths(&seen)
                ),
                explanations: explanations(),
            }),
            (false, true) => denied
                .first()
                .and_then(|(_, denial)| self.details(None, Some(denial)))
                .map(|message| Problem {
                    message,
                    explanations: explanations(),
                }),
            (false, false) => Some(Problem::new(format!(
                "expected to be denied, but it gives {}",
                shown_paths(&seen)
            ))),
        }
    }

    /// A list that is allowed only if the rules allow every document that it could return, given or not.
    fn strict_list(
        &self,
        query: &Query,
        gives: Option<&[DocumentPath]>,
        matching: &[(DocumentPath, Arc<Map>)],
        denied: &[(Operation, Denial)],
    ) -> Option<Problem> {
        let auth = self.auth();
        let request = ListRequest {
            database: DATABASE_DEFAULT,
            query,
            auth,
            time: self.check.time,
        };
        let mut documents = self.documents(&[]);
        let proof = loop {
            match self.subject.ruleset.prove_list(&request, &documents) {
                ListProof::Needs(paths) => self.supply(&mut documents, paths),
                proof => break proof,
            }
        };
        let is_allowed = matches!(proof, ListProof::Allow { .. });
        match (is_allowed, self.check.allows) {
            (true, true) => {
                let found = window(query, matching.to_vec());
                gives.and_then(|wanted| not_given(wanted, &found))
            }
            (false, false) => match &proof {
                ListProof::Deny { denial, .. } => self.details(None, Some(denial)).map(Problem::new),
                _ => None,
            },
            (true, false) => Some(Problem::new(
                "expected to be denied, but the rules allow every document that the query could return",
            )),
            (false, true) => {
                let mut message =
                    "expected to be allowed, but the rules do not allow every document that the query could return"
                        .to_owned();
                if let ListProof::Deny { unproved, .. } = &proof {
                    for missing in missing(self.index, unproved) {
                        message.push_str(&format!("; the query leaves open `{}`", missing.expression));
                        if let Some(filter) = missing.where_expression {
                            message.push_str(&format!(", which `where {filter}` would prove"));
                        }
                    }
                }
                let mut problem = Problem::new(message);
                let shown = denied.iter().take(EXPLAINED_DOCUMENTS_MAX);
                problem
                    .explanations
                    .extend(shown.map(|(operation, _)| self.explanation(operation, &[], Some(query))));
                Some(problem)
            }
        }
    }

    /// The given documents that a query matches, in its order, whatever its limit.
    fn matching(&self, query: &Query) -> Vec<(DocumentPath, Arc<Map>)> {
        let mut matching: Vec<_> = self
            .world()
            .documents
            .iter()
            .filter(|(path, data)| query.matches(path, data))
            .map(|(path, data)| (path.clone(), Arc::clone(data)))
            .collect();
        let order = query.normalized_order();
        matching.sort_by(|(left_path, left), (right_path, right)| {
            query.compare(&order, (left_path, left), (right_path, right))
        });
        matching
    }

    /// What an expectation says besides allow or deny, where it does not hold.
    fn details(&self, granted_by: Option<Span>, denial: Option<&Denial>) -> Option<String> {
        self.check.details.iter().find_map(|detail| match detail {
            Detail::Reason(wanted) => {
                let told = denial.and_then(|denial| denial.reason.as_deref());
                match told {
                    Some(told) if *told == *wanted.text => None,
                    Some(told) => Some(format!("it is denied, but the client is told: {told}")),
                    None => Some("it is denied, but the client is told no reason".to_owned()),
                }
            }
            Detail::Field(wanted) => {
                let mismatch = denial.and_then(|denial| denial.mismatch.as_ref());
                match mismatch {
                    Some((_, mismatch)) if *mismatch.field == *wanted.text => None,
                    Some((_, mismatch)) => Some(format!("it is denied, but because {mismatch}")),
                    None => Some("it is denied, but no field is of a wrong type".to_owned()),
                }
            }
            Detail::Line(line) => {
                let tried = denial.into_iter().flat_map(|denial| {
                    let tried = denial.tried.iter().map(|tried| tried.allow);
                    tried.chain(denial.mismatch.iter().map(|(span, _)| *span))
                });
                let lines: Vec<_> = granted_by
                    .into_iter()
                    .chain(tried)
                    .map(|span| self.index.position(span).line)
                    .collect();
                if lines.contains(line) {
                    return None;
                }
                let shown: Vec<_> = lines.iter().map(ToString::to_string).collect();
                Some(match (granted_by, shown.is_empty()) {
                    (Some(_), _) => format!("it is allowed, but by line {}", shown.join(", ")),
                    (None, true) => "it is denied, but no `allow` was asked".to_owned(),
                    (None, false) => format!("it is denied, but by line {}", shown.join(", ")),
                })
            }
        })
    }

    fn world(&self) -> &'t World {
        &self.check.world
    }

    fn auth(&self) -> Option<Auth<'t>> {
        match &self.check.asker {
            Asker::Nobody | Asker::Admin => None,
            Asker::User { uid, token } => Some(Auth { uid, token }),
        }
    }

    fn request<'r>(&self, operation: &'r Operation, query: Option<&'r Query>) -> Request<'r>
    where
        't: 'r,
    {
        Request {
            target: match &operation.place {
                Place::Document(path) => Target::Document {
                    database: DATABASE_DEFAULT,
                    path,
                },
                Place::File { bucket, name } => Target::File { bucket, name },
                Place::Account(path) => Target::Account { path },
            },
            method: operation.method,
            auth: self.auth(),
            time: self.check.time,
            before: operation.before.as_deref(),
            after: operation.after.as_deref(),
            query,
        }
    }

    /// The documents that are known from the start: all that exist, and what a commit leaves.
    fn documents(&self, commit: &[Operation]) -> Documents {
        let mut documents = Documents::new();
        for (path, data) in &self.world().documents {
            documents.insert(path.clone(), Some(Arc::clone(data)));
        }
        for operation in commit.iter().filter(|operation| operation.method.is_write()) {
            if let Place::Document(path) = &operation.place {
                documents.insert_after(path.clone(), operation.left.clone());
            }
        }
        documents
    }

    /// Makes known that what is not given does not exist.
    fn supply(&self, documents: &mut Documents, paths: Vec<DocumentPath>) {
        for path in paths {
            let data = self.world().documents.get(&path).cloned();
            documents.insert(path, data);
        }
    }

    fn decide(
        &self,
        operation: &Operation,
        commit: &[Operation],
        query: Option<&Query>,
        coverage: &mut Coverage,
    ) -> Decision {
        let request = self.request(operation, query);
        let mut documents = self.documents(commit);
        loop {
            match self.subject.ruleset.cover(&request, &documents, coverage) {
                Decision::Needs(paths) => self.supply(&mut documents, paths),
                decision => return decision,
            }
        }
    }

    fn explanation(
        &self,
        operation: &Operation,
        commit: &[Operation],
        query: Option<&Query>,
    ) -> SubjectExplanation {
        let request = self.request(operation, query);
        let mut documents = self.documents(commit);
        let explanation = loop {
            match self.subject.ruleset.explain(&request, &documents) {
                (Decision::Needs(paths), _) => self.supply(&mut documents, paths),
                (decision, attempts) => break Explanation::new(self.index, &request, &decision, &attempts),
            }
        };
        SubjectExplanation {
            operation: format!("{} {}", operation.method.as_str(), shown_place(&operation.place)),
            explanation,
        }
    }
}

/// How many documents of a list that fails are explained.
const EXPLAINED_DOCUMENTS_MAX: usize = 3;

/// A document of a list.
fn row(path: &DocumentPath, data: &Arc<Map>) -> Operation {
    Operation {
        place: Place::Document(path.clone()),
        method: Method::List,
        before: Some(Arc::clone(data)),
        after: None,
        left: None,
    }
}

/// The part of a result that its offset and limit leave, by path.
fn window(query: &Query, documents: Vec<(DocumentPath, Arc<Map>)>) -> Vec<DocumentPath> {
    documents
        .into_iter()
        .map(|(path, _)| path)
        .skip(query.offset as usize)
        .take(query.limit.map_or(usize::MAX, |limit| limit as usize))
        .collect()
}

fn not_given(wanted: &[DocumentPath], found: &[DocumentPath]) -> Option<Problem> {
    if wanted == found {
        return None;
    }
    let is_order = wanted.len() == found.len() && wanted.iter().all(|path| found.contains(path));
    let order = if is_order { " in another order" } else { "" };
    Some(Problem::new(format!(
        "expected {}, but it gives {}{order}",
        shown_paths(wanted),
        shown_paths(found)
    )))
}

fn shown_paths(paths: &[DocumentPath]) -> String {
    if paths.is_empty() {
        return "nothing".to_owned();
    }
    let paths: Vec<_> = paths.iter().map(|path| format!("/{path}")).collect();
    paths.join(", ")
}

fn shown_place(place: &Place) -> String {
    match place {
        Place::Document(path) => format!("/{path}"),
        Place::File { bucket, name } => format!("file /{bucket}/{name}"),
        Place::Account(path) => format!("account /{path}"),
    }
}
