//! Values as conditions, conditions as values, and values of which little is known.

use std::rc::Rc;

use super::condition::{self, ConditionKind, Shared};
use super::interpret::{Interpreter, Stop};
use super::term::{self, CASES_MAX, Partial, Term};
use super::test::Relation;
use crate::evaluate::value::Value;
use crate::evaluate::{EvaluationError, Fault};
use crate::source::Span;

impl<'a> Interpreter<'a> {
    /// Some value, if these have one.
    pub(crate) fn opaque_of(&mut self, values: &[Partial<'a>], span: Span) -> Partial<'a> {
        let defined = term::are_defined(values, span);
        if matches!(defined.kind, ConditionKind::Failed | ConditionKind::Known(false)) {
            return Partial::failing();
        }
        Partial::opaque(defined)
    }

    /// A bool that nobody knows, if these have a value.
    pub(crate) fn unclear_of(&mut self, values: &[Partial<'a>], span: Span) -> Partial<'a> {
        let defined = term::are_defined(values, span);
        self.of_condition(condition::unclear(defined, span))
    }

    /// A condition as a value.
    pub(crate) fn of_condition(&mut self, condition: Shared) -> Partial<'a> {
        match condition.kind {
            ConditionKind::Known(truth) => Partial::bool(truth),
            ConditionKind::Failed => Partial::failing(),
            _ => Partial::term(Term::Condition(condition)),
        }
    }

    /// A value as a condition.
    pub(crate) fn truth(&mut self, value: Partial<'a>, operator: &str, span: Span) -> Result<Shared, Stop> {
        let term = match value {
            Partial::Known(Value::Bool(truth)) => return Ok(condition::known(truth)),
            Partial::Known(Value::Null) => return self.no_truth(Fault::Null, span),
            Partial::Known(other) => {
                let gap = if operator.is_empty() { "" } else { " " };
                let received = format!("{operator}{gap}{}", other.type_name());
                return self.no_truth(Fault::unsupported(received, format!("{operator}{gap}bool")), span);
            }
            Partial::Failed(error) => return Err(Stop::Error(error)),
            Partial::Needs => return Err(Stop::Needs),
            Partial::Unknown(term) => term,
        };
        match &*term {
            Term::Condition(condition) => Ok(Rc::clone(condition)),
            Term::Field(field) => Ok(term::field_test(&field.path, Relation::IsTrue, span)),
            Term::Cases(cases, _) => {
                let mut choices = Vec::with_capacity(cases.len());
                for (guard, value) in cases {
                    match self.truth(value.clone(), operator, span) {
                        Ok(then) => choices.push((Rc::clone(guard), then)),
                        Err(Stop::Needs) => return Err(Stop::Needs),
                        Err(Stop::Error(_)) => {}
                    }
                }
                Ok(condition::choice(choices))
            }
            Term::Opaque { defined } => Ok(condition::unclear(Rc::clone(defined), span)),
            Term::Id => self.no_truth(
                Fault::unsupported(format!("{operator} string"), format!("{operator} bool")),
                span,
            ),
            Term::Request | Term::Document | Term::Data | Term::Keys(None) => self.no_truth(
                Fault::unsupported(format!("{operator} map"), format!("{operator} bool")),
                span,
            ),
            Term::Moment(_) | Term::Keys(Some(_)) | Term::List(_, _) => Ok(condition::failed()),
        }
    }

    fn no_truth(&mut self, fault: Fault, span: Span) -> Result<Shared, Stop> {
        Err(Stop::Error(Box::new(EvaluationError { fault, span })))
    }

    /// The value behind the guard that is true.
    pub(crate) fn cases(
        &mut self,
        cases: impl IntoIterator<Item = (Shared, Partial<'a>)>,
        span: Span,
    ) -> Partial<'a> {
        let mut kept: Vec<(Shared, Partial<'a>)> = Vec::new();
        for (guard, value) in cases {
            match (&guard.kind, value) {
                (ConditionKind::Known(false) | ConditionKind::Failed, _) => {}
                (ConditionKind::Known(true), value) => return value,
                (_, Partial::Needs) => return Partial::Needs,
                // The guard may fail as well, and differently.
                (_, Partial::Failed(_)) => {}
                (_, Partial::Unknown(term)) => match &*term {
                    Term::Cases(inner, _) => {
                        for (inner_guard, value) in inner {
                            let guard = condition::all([Rc::clone(&guard), Rc::clone(inner_guard)]);
                            kept.push((guard, value.clone()));
                        }
                    }
                    _ => kept.push((guard, Partial::Unknown(term))),
                },
                (_, value) => kept.push((guard, value)),
            }
        }
        match kept.len() {
            0 => Partial::failing(),
            1..=CASES_MAX => Partial::cases(kept),
            _ => {
                let defined = condition::any(
                    kept.into_iter()
                        .map(|(guard, value)| condition::all([guard, value.is_defined(span)])),
                );
                Partial::opaque(defined)
            }
        }
    }

    /// Does something to each case of a value, if it has several.
    pub(crate) fn for_each_case(
        &mut self,
        value: &Partial<'a>,
        span: Span,
        mut apply: impl FnMut(&mut Self, Partial<'a>) -> Partial<'a>,
    ) -> Option<Partial<'a>> {
        let Partial::Unknown(term) = value else {
            return None;
        };
        let Term::Cases(cases, _) = &**term else {
            return None;
        };
        let applied: Vec<_> = cases
            .iter()
            .map(|(guard, value)| (Rc::clone(guard), apply(self, value.clone())))
            .collect();
        Some(self.cases(applied, span))
    }
}
