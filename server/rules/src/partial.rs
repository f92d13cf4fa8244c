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
//! while the rules are evaluated.

mod decide;

use andiron_protocol::{DocumentPath, Filter, Query, Timestamp};

use crate::evaluate::{Auth, Denial};

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
