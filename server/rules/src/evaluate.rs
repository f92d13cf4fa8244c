//! Judging requests by rules.
//!
//! A program that has been checked is lowered once to the core: every name resolved to a place, every literal pattern
//! compiled, the language versions told apart. A [`Ruleset`] holds that and judges: it finds the matches that the
//! request's path belongs to and asks their allows, one after the other, until one grants.
//!
//! - The path: `matching` finds candidates by the literals that patterns begin with.
//! - The values: `value`, and on them `operator`, `method`, `function`, which know nothing of nodes and spans.
//! - The evaluator: `interpret`, with `lookup` and `conform`; generic over who watches (`observe`), so that the plain
//!   decision, the trace for `explain` and the coverage of tests are one definition.
//!
//! Nothing here does I/O. A look-up of a document that is not among the [`Documents`] makes the answer
//! [`Decision::Needs`]: the caller reads those documents and asks again. An answer other than that depends on nothing but
//! the arguments.
//!
//! Bounds that protect the process whatever the [`Limits`](crate::Limits): [`EVALUATION_DEPTH_MAX`],
//! [`VALUE_DEPTH_MAX`], [`MATCHING_STEPS_MAX`], [`DYNAMIC_PATTERNS_MAX`], [`TRACE_ENTRIES_MAX`].
//!
//! # Evaluation with unknowns
//!
//! The partial evaluator, [`partial`](crate::partial), is a second walk over the same core with a result type of its own,
//! not a mode of this one. It shares what gives an operation its meaning: the functions of `operator`, `method` and
//! `function` on known values, and the look-ups. It differs where a value may be missing: `resource.data` and what hangs on
//! it, and the captures of a list's document. What is changed in `interpret` is to be changed there too.

mod compare;
mod conform;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod decide;
mod fault;
pub(crate) mod function;
pub(crate) mod interpret;
pub(crate) mod lookup;
mod lower;
mod matching;
pub(crate) mod method;
mod observe;
pub(crate) mod operator;
mod pattern;
pub(crate) mod request;
pub(crate) mod time;
pub(crate) mod value;

pub use conform::Mismatch;
pub use decide::{BatchDecision, Decision, Denial, Grant, Ruleset, Tried};
pub use fault::{EvaluationError, Fault};
pub use interpret::EVALUATION_DEPTH_MAX;
pub use matching::MATCHING_STEPS_MAX;
pub use observe::{Attempt, Coverage, TRACE_ENTRIES_MAX, Tally, TraceEntry};
pub use pattern::DYNAMIC_PATTERNS_MAX;
pub use request::{Auth, DATABASE_DEFAULT, Documents, Method, Request, Target};
pub use value::{SHOWN_CHARACTERS_MAX, VALUE_DEPTH_MAX};

/// What computing with values takes, for those who have no request: the values that tests write down.
pub(crate) mod constant {
    pub(crate) use super::context::Context;
    pub(crate) use super::fault::Fault;
    pub(crate) use super::function::call as call_builtin;
    pub(crate) use super::method::{Methods, push_part};
    pub(crate) use super::operator::{binary, index, negate, slice, truth};
    pub(crate) use super::pattern::Patterns;
    pub(crate) use super::value::{List, Map, Octets, Part, Path, Text, Value};
}
