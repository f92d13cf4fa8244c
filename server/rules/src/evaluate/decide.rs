//! Judging requests: every matching `allow` is asked until one grants.

use std::ops::ControlFlow;

use andiron_protocol::DocumentPath;

use super::conform::Mismatch;
use super::context::Context;
use super::core::{Core, MatchNode};
use super::fault::EvaluationError;
use super::interpret::{Evaluator, Stop};
use super::lookup::Lookups;
use super::lower::lower;
use super::matching::{Visit, visit_matches};
use super::observe::{Attempt, Coverage, Nobody, Observer, Trace};
use super::pattern::Patterns;
use super::request::{Documents, Method, Request};
use super::value::Value;
use crate::check::Checked;
use crate::limits::Limits;
use crate::program::Program;
use crate::source::Span;
use crate::syntax::{OperationKind, ServiceKind};

/// A program ready to judge requests. It never changes, and any number of threads may use it at once.
#[derive(Debug)]
pub struct Ruleset {
    pub(crate) core: Core,
    pub(crate) limits: Limits,
    pub(crate) patterns: Patterns,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is allowed.
    Allow(Grant),
    /// It is not.
    Deny(Denial),
    /// These documents have to be known to decide. They are as many as could be found out; there are never none of them,
    /// and none that is known already.
    Needs(Vec<DocumentPath>),
}

/// Why a request is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The `allow` that grants it.
    pub by: Span,
    /// The documents that were looked up: if one of them changes, the decision may be another.
    pub lookups: Vec<DocumentPath>,
}

/// Why a request is not allowed. Nothing of it may be shown to clients but [`Denial::reason`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Denial {
    /// The allows that were asked, in the order of the file; none if no pattern matches.
    pub tried: Vec<Tried>,
    /// What keeps the document from being of the type that its match requires.
    pub mismatch: Option<(Span, Mismatch)>,
    /// What the first of the allows that has a text for it says to the client.
    pub reason: Option<String>,
    /// What went wrong outside of every `allow`.
    pub error: Option<EvaluationError>,
    /// The documents that were looked up.
    pub lookups: Vec<DocumentPath>,
}

/// An `allow` that did not grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The `allow`.
    pub allow: Span,
    /// The condition, if it has one.
    pub condition: Option<Span>,
    /// Why its condition has no value; `None` if it was false.
    pub error: Option<EvaluationError>,
}

/// What comes of several operations that are allowed or denied together.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchDecision {
    /// All of them are allowed.
    Allow {
        /// The `allow` that grants each.
        by: Vec<Span>,
        /// The documents that were looked up.
        lookups: Vec<DocumentPath>,
    },
    /// One of them is not; those behind it were not judged.
    Deny {
        /// Its place among the operations.
        index: usize,
        /// Why.
        denial: Denial,
    },
    /// These documents have to be known to decide; see [`Decision::Needs`].
    Needs(Vec<DocumentPath>),
}

impl Ruleset {
    /// Whether there are rules of a service at all. Without any everything of it is denied; what to make of that where
    /// something else decides too is the caller's to know.
    pub fn has_service(&self, service: ServiceKind) -> bool {
        self.core.service(service).is_some()
    }

    /// Makes a program ready. It should have been checked without errors; what is wrong with it nevertheless fails when
    /// it is evaluated.
    pub fn new(program: &Program, checked: &Checked, limits: Limits) -> Self {
        Self {
            core: lower(program, checked),
            limits,
            patterns: Patterns::default(),
        }
    }

    /// The limits that it judges by.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Judges a request.
    pub fn decide(&self, request: &Request<'_>, documents: &Documents) -> Decision {
        self.decide_observed(request, documents, &mut Nobody)
    }

    /// Judges operations that happen together, such as the writes of a commit. Those of the document that is written
    /// twice are to have its final state as `after`. Documents are looked up for all operations before one is denied.
    pub fn decide_all(&self, requests: &[Request<'_>], documents: &Documents) -> BatchDecision {
        let mut lookups = Lookups::batch(self.limits.lookups_max, self.limits.lookups_batch_max);
        let mut by = Vec::with_capacity(requests.len());
        for (index, request) in requests.iter().enumerate() {
            let (outcome, after) = self.judge(request, documents, lookups, &mut Nobody);
            lookups = after;
            lookups.next_operation();
            match outcome {
                Outcome::Granted(allow) => by.push(allow),
                Outcome::Denied(mut denial) if !lookups.needs_some() => {
                    denial.lookups = lookups.into_used();
                    return BatchDecision::Deny {
                        index,
                        denial: *denial,
                    };
                }
                // Either it needs documents itself, or one before it does and may be what is denied.
                Outcome::Denied(_) | Outcome::Needs => {}
            }
        }
        if lookups.needs_some() {
            BatchDecision::Needs(lookups.into_needs())
        } else {
            BatchDecision::Allow {
                by,
                lookups: lookups.into_used(),
            }
        }
    }

    /// Judges a request, and gives every `allow` that was asked with the value of each of its sub-expressions.
    pub fn explain(&self, request: &Request<'_>, documents: &Documents) -> (Decision, Vec<Attempt>) {
        let mut trace = Trace::default();
        let decision = self.decide_observed(request, documents, &mut trace);
        (decision, trace.attempts)
    }

    /// Judges a request, and counts what was evaluated if it could be decided.
    pub fn cover(&self, request: &Request<'_>, documents: &Documents, coverage: &mut Coverage) -> Decision {
        let mut own = Coverage::default();
        let decision = self.decide_observed(request, documents, &mut own);
        if !matches!(decision, Decision::Needs(_)) {
            coverage.merge(&own);
        }
        decision
    }

    fn decide_observed<O: Observer>(
        &self,
        request: &Request<'_>,
        documents: &Documents,
        observer: &mut O,
    ) -> Decision {
        let lookups_max = match request.target.service() {
            ServiceKind::Firestore | ServiceKind::Accounts => self.limits.lookups_max,
            ServiceKind::Storage => self.limits.lookups_storage_max,
        };
        let (outcome, lookups) = self.judge(request, documents, Lookups::new(lookups_max), observer);
        match outcome {
            Outcome::Granted(by) => Decision::Allow(Grant {
                by,
                lookups: lookups.into_used(),
            }),
            Outcome::Denied(mut denial) => {
                denial.lookups = lookups.into_used();
                Decision::Deny(*denial)
            }
            Outcome::Needs => Decision::Needs(lookups.into_needs()),
        }
    }

    fn judge<'a, O: Observer>(
        &'a self,
        request: &'a Request<'a>,
        documents: &'a Documents,
        lookups: Lookups,
        observer: &mut O,
    ) -> (Outcome, Lookups) {
        let context = Context::new(request.database(), &self.patterns, self.limits.value_bytes_max);
        let needs_before = lookups.needs_count();
        let evaluator = Evaluator::new(
            &self.core,
            request,
            documents,
            &self.limits,
            context,
            lookups,
            observer,
        );
        let mut judging = Judging {
            evaluator,
            operation: request.method.operation(),
            is_group_query: request.is_group_query(),
            is_storage_list: request.method == Method::List
                && request.target.service() == ServiceKind::Storage,
            goes_on: self.core.has_document_types
                && matches!(request.method, Method::Create | Method::Update),
            type_needs: false,
            granted: None,
            denial: None,
        };
        let segments = request.target.segments();
        let roots = self.core.service(request.target.service());
        let walked = match roots {
            Some(roots) => visit_matches(&self.core, roots, &segments, &mut judging),
            None => Ok(()),
        };
        if let Err(fault) = walked {
            judging.denial().error = Some(EvaluationError {
                fault,
                span: Span::default(),
            });
            judging.granted = None;
        }
        let mut lookups = judging.evaluator.lookups;
        let needs = lookups.needs_count() > needs_before;
        let outcome = match (judging.granted, judging.denial) {
            (_, Some(denial)) if denial.mismatch.is_some() || denial.error.is_some() => {
                Outcome::Denied(denial)
            }
            (Some(by), _) if !judging.type_needs => Outcome::Granted(by),
            _ if needs => Outcome::Needs,
            (_, denial) => Outcome::Denied(denial.unwrap_or_default()),
        };
        if !matches!(outcome, Outcome::Needs) {
            lookups.forget_needs(needs_before);
        }
        (outcome, lookups)
    }
}

enum Outcome {
    Granted(Span),
    Denied(Box<Denial>),
    Needs,
}

struct Judging<'a, 'o, O> {
    evaluator: Evaluator<'a, 'o, O>,
    operation: OperationKind,
    is_group_query: bool,
    is_storage_list: bool,
    /// Whether a grant is not the end, since a match may still require a type of the document.
    goes_on: bool,
    /// Whether it takes a document that is not known to say whether a type fits.
    type_needs: bool,
    granted: Option<Span>,
    denial: Option<Box<Denial>>,
}

impl<O> Judging<'_, '_, O> {
    fn denial(&mut self) -> &mut Denial {
        self.denial.get_or_insert_default()
    }
}

impl<'a, O: Observer> Visit<'a> for Judging<'a, '_, O> {
    fn visit(&mut self, found: &'a MatchNode, captures: &mut Vec<Value<'a>>) -> ControlFlow<()> {
        // Neither existed in version 1.
        if self.is_group_query && !found.covers_groups
            || self.is_storage_list && !found.version.has_empty_globs()
        {
            return ControlFlow::Continue(());
        }
        std::mem::swap(captures, &mut self.evaluator.captures);
        self.evaluator.enter_match(&found.lets);
        let flow = self.ask(found);
        std::mem::swap(captures, &mut self.evaluator.captures);
        flow
    }
}

impl<'a, O: Observer> Judging<'a, '_, O> {
    fn ask(&mut self, found: &'a MatchNode) -> ControlFlow<()> {
        if self.goes_on
            && let Some((id, span)) = found.document_type
            && let Some(after) = self.evaluator.request.after
        {
            let value = Value::Map(super::value::Map::Stored(after));
            let conforms = self.evaluator.conforms(&value, id, span);
            if O::WATCHES {
                self.evaluator.observer.type_tested();
            }
            match conforms {
                Ok(Ok(())) => {}
                Err(Stop::Needs) => self.type_needs = true,
                Ok(Err(mismatch)) => {
                    self.denial().mismatch = Some((span, mismatch));
                    return ControlFlow::Break(());
                }
                Err(Stop::Error(error)) => {
                    let mismatch = Mismatch {
                        field: String::new(),
                        problem: error.to_string(),
                        condition: Some(error.span),
                    };
                    self.denial().mismatch = Some((span, mismatch));
                    return ControlFlow::Break(());
                }
            }
        }
        for allow in &found.allows {
            if self.granted.is_some() {
                break;
            }
            if !allow.operations.iter().any(|kind| kind.covers(self.operation)) {
                continue;
            }
            let result = self.evaluator.condition(allow.condition);
            if O::WATCHES {
                self.evaluator.observer.tried(allow, &result);
            }
            let error = match result {
                Ok(Value::Bool(true)) => {
                    self.granted = Some(allow.span);
                    break;
                }
                Ok(_) => None,
                Err(Stop::Needs) => continue,
                Err(Stop::Error(error)) => Some(*error),
            };
            let condition = allow
                .condition
                .map(|condition| self.evaluator.core.node(condition.node).span);
            let denial = self.denial();
            if denial.reason.is_none() {
                denial.reason = allow.reason.as_deref().map(str::to_owned);
            }
            denial.tried.push(Tried {
                allow: allow.span,
                condition,
                error,
            });
        }
        if self.granted.is_some() && !self.goes_on {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
