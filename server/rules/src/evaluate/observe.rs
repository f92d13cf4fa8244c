//! Who watches an evaluation: nobody, a trace of one request, or the coverage of many.
//!
//! The evaluator is generic over its observer; without one, nothing is left of watching in the machine code.

use std::collections::HashMap;

use super::core::{Allow, Node};
use super::fault::EvaluationError;
use super::interpret::{Evaluated, Stop};
use super::value::{Value, show};
use crate::source::{FileId, Span};
use crate::syntax::ExprId;

/// How many sub-expressions of one `allow` a trace holds; the rest are left out.
pub const TRACE_ENTRIES_MAX: usize = 1000;

/// Told of every expression when it has a value or has failed, inner ones first.
pub(crate) trait Observer {
    /// Whether there is anything to tell.
    const WATCHES: bool;

    /// An expression has been evaluated, so many levels below the condition.
    fn evaluated(&mut self, node: &Node, depth: u16, result: &Evaluated<'_>, database: &str);

    /// An `allow` has been tried.
    fn tried(&mut self, allow: &Allow, result: &Evaluated<'_>);

    /// The type that a match requires has been tested; what was evaluated for that belongs to no `allow`.
    fn type_tested(&mut self) {}
}

/// Nobody.
pub(crate) struct Nobody;

impl Observer for Nobody {
    const WATCHES: bool = false;

    fn evaluated(&mut self, _: &Node, _: u16, _: &Evaluated<'_>, _: &str) {}

    fn tried(&mut self, _: &Allow, _: &Evaluated<'_>) {}
}

/// A sub-expression with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// The sub-expression.
    pub span: Span,
    /// How deep it was evaluated: 1 is the condition itself; what is inside of a called function is below the call.
    pub depth: u16,
    /// Its value as text, cut to [`SHOWN_CHARACTERS_MAX`](super::SHOWN_CHARACTERS_MAX), or why it has none.
    pub result: Result<String, EvaluationError>,
}

/// An `allow` that was tried, with everything that led to its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The `allow`.
    pub allow: Span,
    /// Whether its condition was true, or why it has no value.
    pub result: Result<bool, EvaluationError>,
    /// What came of every sub-expression, each behind those inside of it; at most [`TRACE_ENTRIES_MAX`] and the condition.
    pub trace: Vec<TraceEntry>,
}

/// The allows tried so far, and the trace of the one being tried.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) attempts: Vec<Attempt>,
    entries: Vec<TraceEntry>,
}

impl Observer for Trace {
    const WATCHES: bool = true;

    fn evaluated(&mut self, node: &Node, depth: u16, result: &Evaluated<'_>, database: &str) {
        // The condition itself comes last, and is what matters most.
        if self.entries.len() >= TRACE_ENTRIES_MAX && depth > 1 {
            return;
        }
        let result = match result {
            Ok(value) => Ok(show(value, database)),
            Err(Stop::Error(error)) => Err((**error).clone()),
            Err(Stop::Needs) => return,
        };
        self.entries.push(TraceEntry {
            span: node.span,
            depth,
            result,
        });
    }

    fn type_tested(&mut self) {
        self.entries.clear();
    }

    fn tried(&mut self, allow: &Allow, result: &Evaluated<'_>) {
        let trace = std::mem::take(&mut self.entries);
        let result = match result {
            Ok(value) => Ok(matches!(value, Value::Bool(true))),
            Err(Stop::Error(error)) => Err((**error).clone()),
            Err(Stop::Needs) => return,
        };
        self.attempts.push(Attempt {
            allow: allow.span,
            result,
            trace,
        });
    }
}

/// How often an expression was evaluated, by what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// It was `true`.
    pub trues: u64,
    /// It was `false`.
    pub falses: u64,
    /// It was another value.
    pub values: u64,
    /// It failed.
    pub errors: u64,
}

impl Tally {
    /// How often altogether.
    pub fn total(self) -> u64 {
        self.trues + self.falses + self.values + self.errors
    }

    fn count(&mut self, result: &Evaluated<'_>) {
        match result {
            Ok(Value::Bool(true)) => self.trues += 1,
            Ok(Value::Bool(false)) => self.falses += 1,
            Ok(_) => self.values += 1,
            Err(Stop::Error(_)) => self.errors += 1,
            Err(Stop::Needs) => {}
        }
    }
}

/// What came of expressions and allows in the requests judged so far.
///
/// Parentheses have no tally of their own, and of a chain of one operator `&&` or `||` only the whole has one, besides
/// those of its operands.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    expressions: HashMap<(FileId, ExprId), Tally>,
    allows: HashMap<Span, Tally>,
}

impl Coverage {
    /// The tally of an expression.
    pub fn expression(&self, file: FileId, expression: ExprId) -> Tally {
        self.expressions
            .get(&(file, expression))
            .copied()
            .unwrap_or_default()
    }

    /// The tally of an `allow`, by its span: how often it granted, did not, or failed.
    pub fn allow(&self, span: Span) -> Tally {
        self.allows.get(&span).copied().unwrap_or_default()
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        fn add<K: Copy + Eq + std::hash::Hash>(into: &mut HashMap<K, Tally>, from: &HashMap<K, Tally>) {
            for (key, tally) in from {
                let sum = into.entry(*key).or_default();
                sum.trues += tally.trues;
                sum.falses += tally.falses;
                sum.values += tally.values;
                sum.errors += tally.errors;
            }
        }
        add(&mut self.expressions, &other.expressions);
        add(&mut self.allows, &other.allows);
    }
}

impl Observer for Coverage {
    const WATCHES: bool = true;

    fn evaluated(&mut self, node: &Node, _: u16, result: &Evaluated<'_>, _: &str) {
        self.expressions
            .entry((node.span.file, node.expression))
            .or_default()
            .count(result);
    }

    fn tried(&mut self, allow: &Allow, result: &Evaluated<'_>) {
        self.allows.entry(allow.span).or_default().count(result);
    }
}
