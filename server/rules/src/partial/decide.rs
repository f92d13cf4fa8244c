//! Judging lists: the conditions of all matching allows, joined.

use std::ops::ControlFlow;

use andiron_protocol::{DocumentPath, Source, Value as Stored};

use super::condition::{self, ConditionKind, Shared};
use super::constant::Forms;
use super::facts::Facts;
use super::interpret::{Interpreter, Stop};
use super::matching::{Found, TooManySteps, visit_collection, visit_group};
use super::project::extent;
use super::term;
use super::test::Relation;
use super::{ListDecision, ListRequest, Residual};
use crate::evaluate::context::Context;
use crate::evaluate::{Denial, Documents, Method, Request, Ruleset, Target, Tried};
use crate::source::Span;
use crate::syntax::OperationKind;

impl Ruleset {
    /// Judges a list without its documents.
    pub fn decide_list(&self, request: &ListRequest<'_>, documents: &Documents) -> ListDecision {
        let facts = Facts::common(request.query);
        let judged = self.judge_list(request, documents, &facts);
        let condition = match &judged.outcome {
            Outcome::Needs => return ListDecision::Needs(judged.needs),
            Outcome::Judged(condition) => condition,
        };
        let extent = extent(condition, true);
        if extent.is_empty() {
            return ListDecision::Deny(judged.into_denial());
        }
        let lookups = judged.lookups;
        let is_exact = extent.is_exact && judged.is_metered;
        if extent.is_unbounded() && is_exact {
            return ListDecision::Allow { lookups };
        }
        ListDecision::Filter(Residual {
            filter: (!extent.is_unbounded()).then_some(extent.filter),
            is_exact,
            lookups,
        })
    }

    /// What the rules demand of the documents that a query returns, as far as these facts hold for them.
    pub(crate) fn judge_list(
        &self,
        request: &ListRequest<'_>,
        documents: &Documents,
        facts: &Facts<'_>,
    ) -> Judged {
        // It stands for the documents of the list; nothing asks for it.
        let path: DocumentPath = STAND_IN.parse().expect("a path of two segments");
        let single = Request {
            target: Target::Document {
                database: request.database,
                path: &path,
            },
            method: Method::List,
            auth: request.auth,
            time: request.time,
            before: None,
            after: None,
            query: Some(request.query),
        };
        let context = Context::new(request.database, &self.patterns, self.limits.value_bytes_max);
        let mut judging = Judging {
            interpreter: Interpreter::new(&self.core, &single, documents, &self.limits, facts, context),
            alternatives: Vec::new(),
            denial: Denial::default(),
            needs: false,
        };
        let visited = match &request.query.from {
            Source::Collection(collection) => {
                let segments: Vec<Option<&str>> = ["databases", request.database, "documents"]
                    .into_iter()
                    .chain(collection.segments())
                    .map(Some)
                    .chain([facts.id()])
                    .collect();
                visit_collection(&self.core, &segments, &mut |found| judging.ask(found))
            }
            Source::Group(name) => {
                let id = facts.id();
                visit_group(&self.core, request.database, name, id, &mut |found| {
                    judging.ask(found)
                })
            }
        };
        let mut is_metered = judging.interpreter.is_metered;
        if let Err(TooManySteps) = visited {
            is_metered = false;
            if let Source::Collection(_) = request.query.from {
                // Not all matches were visited.
                judging.alternatives.push(Alternative {
                    allow: Span::default(),
                    condition: None,
                    granted: condition::unclear(condition::known(true), Span::default()),
                });
            }
        }
        let condition = condition::any(
            judging
                .alternatives
                .iter()
                .map(|alternative| facts.simplify(&alternative.granted)),
        );
        let mut lookups = judging.interpreter.lookups;
        if judging.needs && !matches!(condition.kind, ConditionKind::Known(true)) {
            return Judged {
                outcome: Outcome::Needs,
                alternatives: Vec::new(),
                denial: judging.denial,
                is_metered,
                lookups: Vec::new(),
                needs: lookups.into_needs(),
            };
        }
        lookups.forget_needs(0);
        Judged {
            outcome: Outcome::Judged(condition),
            alternatives: judging.alternatives,
            denial: judging.denial,
            is_metered,
            lookups: lookups.into_used(),
            needs: Vec::new(),
        }
    }
}

/// A path that has the form of a document's.
const STAND_IN: &str = "collection/document";

/// What comes of judging a list.
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    /// The conditions of the allows that may grant, before the facts were applied.
    pub(crate) alternatives: Vec<Alternative>,
    /// The allows that cannot.
    pub(crate) denial: Denial,
    /// Whether no document can fail by a limit that was not met here.
    pub(crate) is_metered: bool,
    pub(crate) lookups: Vec<DocumentPath>,
    pub(crate) needs: Vec<DocumentPath>,
}

impl Judged {
    /// Why it is denied, if none of the allows grants after all.
    pub(crate) fn into_denial(self) -> Denial {
        let mut denial = Denial {
            lookups: self.lookups,
            ..self.denial
        };
        denial
            .tried
            .extend(self.alternatives.iter().map(|alternative| Tried {
                allow: alternative.allow,
                condition: alternative.condition,
                error: None,
            }));
        denial
            .tried
            .sort_by_key(|tried| (tried.allow.file, tried.allow.start));
        denial
    }
}

/// An `allow` that may grant.
pub(crate) struct Alternative {
    pub(crate) allow: Span,
    /// Its condition in the source.
    pub(crate) condition: Option<Span>,
    /// When it grants.
    pub(crate) granted: Shared,
}

pub(crate) enum Outcome {
    /// Documents may be listed for which this is true.
    Judged(Shared),
    Needs,
}

struct Judging<'a> {
    interpreter: Interpreter<'a>,
    alternatives: Vec<Alternative>,
    denial: Denial,
    needs: bool,
}

impl<'a> Judging<'a> {
    fn ask(&mut self, found: Found<'a>) -> ControlFlow<()> {
        let guard = match &found.id {
            None => condition::known(true),
            Some(id) => {
                let forms = Forms::These(vec![Stored::from(&**id)]);
                term::id_test(Relation::Equal(forms), Span::default())
            }
        };
        self.interpreter.enter_match(found.captures, &found.node.lets);
        for allow in &found.node.allows {
            if !allow
                .operations
                .iter()
                .any(|kind| kind.covers(OperationKind::List))
            {
                continue;
            }
            let condition = allow
                .condition
                .map(|condition| self.interpreter.core.node(condition.node).span);
            let granted = self.interpreter.condition(allow.condition);
            if self.denial.reason.is_none() {
                self.denial.reason = allow.reason.as_deref().map(str::to_owned);
            }
            let error = match granted {
                Ok(granted) => {
                    let granted = condition::all([guard.clone(), granted]);
                    let is_granted = matches!(granted.kind, ConditionKind::Known(true));
                    if matches!(granted.kind, ConditionKind::Known(false) | ConditionKind::Failed) {
                        None
                    } else {
                        self.alternatives.push(Alternative {
                            allow: allow.span,
                            condition,
                            granted,
                        });
                        if is_granted {
                            return ControlFlow::Break(());
                        }
                        continue;
                    }
                }
                Err(Stop::Needs) => {
                    self.needs = true;
                    continue;
                }
                Err(Stop::Error(error)) => Some(*error),
            };
            self.denial.tried.push(Tried {
                allow: allow.span,
                condition,
                error,
            });
        }
        ControlFlow::Continue(())
    }
}
