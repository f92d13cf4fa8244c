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
//! A partial evaluator is a second walk over the same core with a result type of its own (known, residual or failed),
//! not a mode of this one. It shares what gives an operation its meaning: the functions of `operator`, `method` and
//! `function` on known values, the matching, the look-ups. It differs where a value may be missing: `resource.data` and what
//! hangs on it, and the captures of a list's document. `connective` is where residuals are joined, in both directions, since
//! an operand that decides absorbs what is unknown beside it.

mod compare;
mod conform;
mod context;
mod core;
mod decide;
mod fault;
mod function;
mod interpret;
mod lookup;
mod lower;
mod matching;
mod method;
mod observe;
mod operator;
mod pattern;
mod request;
mod time;
mod value;

pub use conform::Mismatch;
pub use decide::{BatchDecision, Decision, Denial, Grant, Ruleset, Tried};
pub use fault::{EvaluationError, Fault};
pub use interpret::EVALUATION_DEPTH_MAX;
pub use matching::MATCHING_STEPS_MAX;
pub use observe::{Attempt, Coverage, TRACE_ENTRIES_MAX, Tally, TraceEntry};
pub use pattern::DYNAMIC_PATTERNS_MAX;
pub use request::{Auth, DATABASE_DEFAULT, Documents, Method, Request, Target};
pub use value::{SHOWN_CHARACTERS_MAX, VALUE_DEPTH_MAX};
