//! Lists judged without their documents.
//!
//! Of a list everything is known but the documents: who asks, when, and the query. [`Ruleset::decide_list`] evaluates the
//! rules with `resource.data`, and what else belongs to one document, unknown. What comes of it is allow, deny, or a
//! [`Residual`]: a condition on the documents, as a filter of the protocol.
//!
//! A residual filter is seen *from above*: every document that the rules allow matches it, so that joining it to the query
//! loses nothing. What no filter says is left out of it, and the residual then is not [exact](Residual::is_exact): each
//! document is to be judged by [`Ruleset::decide`] too.
//!
//! Everything is said of the documents that the query can return: what its filter demands of every document is known
//! while the rules are evaluated. [`Ruleset::prove_list`] goes further and takes nothing but that: a query is allowed only
//! if it implies the rules, as with hosted rules.
//!
//! - What a list belongs to: `matching`, with the id, and for groups the parents, unknown.
//! - Evaluating: `interpret`, with `access`, `relate`, `method` and `outcome`; what it gives is a `term`.
//! - What is left: a `condition`, whose leaves are each a `test` of one field with a `constant`.
//! - What comes of that: `project` makes an `extent` of it, `facts` decides it for a query; `decide` and `prove` join both.
//!
//! A decision on all documents is what [`Ruleset::decide`] would say of each, limits included: what may take longer for
//! one document than it took here is not exact. Only [`Limits::value_bytes_max`](crate::Limits::value_bytes_max) is judged
//! by estimates, since how large documents are is not known.
//!
//! Left out, so that it is judged document by document: comparing two fields, arithmetic but on timestamps, loops over
//! lists of the document, look-ups by what is in it, declared types, regular expressions.
//!
//! [`Ruleset::decide_list`]: crate::Ruleset::decide_list
//! [`Ruleset::prove_list`]: crate::Ruleset::prove_list
//! [`Ruleset::decide`]: crate::Ruleset::decide

mod access;
mod condition;
mod constant;
mod decide;
mod extent;
mod facts;
mod interpret;
mod matching;
mod method;
mod outcome;
mod project;
mod prove;
mod relate;
mod term;
mod test;

use andiron_protocol::{DocumentPath, Filter, Query, Timestamp};

pub use constant::CONSTANT_BYTES_MAX;
pub use extent::{LIST_VALUES_PER_WEIGHT, RESIDUAL_DEPTH_MAX, RESIDUAL_WEIGHT_MAX};
pub use facts::{BRANCHES_MAX, SIMPLIFYING_STEPS_MAX};
pub use project::PROJECTING_STEPS_MAX;

use crate::evaluate::{Auth, Denial};
use crate::source::Span;

/// A query to be judged as a whole.
#[derive(Clone, Copy, Debug)]
pub struct ListRequest<'a> {
    /// The database's name; see [`DATABASE_DEFAULT`](crate::evaluate::DATABASE_DEFAULT).
    pub database: &'a str,
    /// The query.
    pub query: &'a Query,
    /// By whom; `None` if nobody has signed in.
    pub auth: Option<Auth<'a>>,
    /// When.
    pub time: Timestamp,
}

/// What comes of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum ListDecision {
    /// Every document that the query returns may be listed.
    Allow {
        /// The documents that were looked up: if one of them changes, the decision may be another.
        lookups: Vec<DocumentPath>,
    },
    /// None of them may.
    Deny(Denial),
    /// Some may, perhaps.
    Filter(Residual),
    /// These documents have to be known to decide; see [`Decision::Needs`](crate::Decision::Needs).
    Needs(Vec<DocumentPath>),
}

/// What the rules demand of each document of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// What every document that may be listed matches; `None` if nothing is known of them.
    ///
    /// It narrows the documents down and must not order them: its inequalities are none of
    /// [`Query::normalized_order`], which would leave out documents that lack their fields.
    pub filter: Option<Filter>,
    /// Whether every document that matches the query and the filter may be listed. Otherwise each of them is to be
    /// judged by [`Ruleset::decide`](crate::Ruleset::decide).
    pub is_exact: bool,
    /// The documents that were looked up: if one of them changes, the decision may be another.
    pub lookups: Vec<DocumentPath>,
}

/// Whether a query proves that all it could return may be listed.
#[derive(Clone, Debug, PartialEq)]
pub enum ListProof {
    /// Every document that the query could return may be listed.
    Allow {
        /// The documents that were looked up: if one of them changes, the proof may fail.
        lookups: Vec<DocumentPath>,
    },
    /// That is not proved.
    Deny {
        /// The allows that were asked.
        denial: Box<Denial>,
        /// Those that might grant, with what the query leaves open.
        unproved: Vec<Unproved>,
    },
    /// These documents have to be known to decide; see [`Decision::Needs`](crate::Decision::Needs).
    Needs(Vec<DocumentPath>),
}

/// An `allow` that a query does not prove.
#[derive(Clone, Debug, PartialEq)]
pub struct Unproved {
    /// The `allow`.
    pub allow: Span,
    /// What of its condition the query leaves open. If the query is a disjunction, this is about one of its branches.
    pub conjuncts: Vec<UnprovedConjunct>,
}

/// A part of a condition that a query does not prove.
#[derive(Clone, Debug, PartialEq)]
pub struct UnprovedConjunct {
    /// Where it stands; `None` for what the pattern demands of the id.
    pub span: Option<Span>,
    /// The filter that would prove it if the query had it; `None` if none would.
    pub suggestion: Option<Filter>,
}
