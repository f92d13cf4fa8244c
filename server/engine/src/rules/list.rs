//! Lists: what the rules demand of all documents of a query, and of each.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Filter, Map, Query};
use andiron_rules::evaluate::{DATABASE_DEFAULT, Method};
use andiron_rules::{ListDecision, ListProof, ListRequest};

use super::judge::{ROUNDS_MAX, undecided};
use super::{AccessDenied, Judge, Known, ReadDocument};
use crate::EngineError;

/// Bytes of looked-up documents, as text, that a list keeps; then they are forgotten and read again where needed.
const KNOWN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Documents looked up that a list keeps, those that do not exist included.
const KNOWN_DOCUMENTS_MAX: usize = 10_000;

/// The judge of one list on one state. What it looks up is looked up once.
pub(crate) struct ListJudge {
    judge: Judge,
    known: Known,
    filter: Option<Filter>,
    judges_documents: bool,
    has_forgotten: bool,
}

impl ListJudge {
    /// Judges the query as a whole.
    ///
    /// # Errors
    /// If none of its documents could ever be allowed; or, of a strict one, unless every document that it could return
    /// is.
    pub(crate) fn begin(judge: &Judge, query: &Query, read: ReadDocument<'_>) -> Result<Self, EngineError> {
        let mut list = Self {
            judge: judge.clone(),
            known: Known::default(),
            filter: None,
            judges_documents: false,
            has_forgotten: false,
        };
        let rules = judge.rules();
        let request = ListRequest {
            database: DATABASE_DEFAULT,
            query,
            auth: judge.auth(),
            time: judge.time(),
        };
        let from = query.from.collection_name();
        if query.strict {
            return list.prove(&request, from, read);
        }
        for _ in 0..ROUNDS_MAX {
            match rules.ruleset().decide_list(&request, list.known.documents()) {
                ListDecision::Allow { .. } => return Ok(list),
                ListDecision::Deny(denial) => {
                    return Err(AccessDenied::new(rules, Method::List, &from, &denial).into());
                }
                ListDecision::Filter(residual) => {
                    list.filter = residual.filter;
                    list.judges_documents = !residual.is_exact;
                    return Ok(list);
                }
                ListDecision::Needs(paths) => list.known.look_up(paths, read)?,
            }
        }
        Err(undecided().into())
    }

    /// Has a strict query proved.
    fn prove(
        mut self,
        request: &ListRequest<'_>,
        from: &str,
        read: ReadDocument<'_>,
    ) -> Result<Self, EngineError> {
        let rules = Arc::clone(self.judge.rules());
        for _ in 0..ROUNDS_MAX {
            match rules.ruleset().prove_list(request, self.known.documents()) {
                ListProof::Allow { .. } => return Ok(self),
                ListProof::Deny { denial, unproved } => {
                    let denied = AccessDenied::new(&rules, Method::List, &from, &denial);
                    return Err(denied.leaving_open(&rules, &unproved).into());
                }
                ListProof::Needs(paths) => self.known.look_up(paths, read)?,
            }
        }
        Err(undecided().into())
    }

    /// What every document that may be listed matches, if anything is known of that. It narrows down and orders nothing.
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Whether a document that matches the query and the filter has to be put to [`ListJudge::judge_document`] all the same.
    pub(crate) fn judges_documents(&self) -> bool {
        self.judges_documents
    }

    /// What was looked up and is not forgotten.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Whether something that was looked up is forgotten.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// Whether nothing is kept from the caller.
    pub(crate) fn admits_all(&self) -> bool {
        !self.judges_documents && self.filter.is_none()
    }

    /// Whether a document that matches the query may be listed.
    pub(crate) fn admits(
        &mut self,
        query: &Query,
        path: &DocumentPath,
        data: &Map,
        read: ReadDocument<'_>,
    ) -> Result<bool, EngineError> {
        let is_left_out = |filter: &Filter| !filter.matches(path.id(), data);
        if self.filter.as_ref().is_some_and(is_left_out) {
            return Ok(false);
        }
        if !self.judges_documents {
            return Ok(true);
        }
        self.judge_document(query, path, data, read)
    }

    /// Judges a document that matches the query and the filter.
    pub(crate) fn judge_document(
        &mut self,
        query: &Query,
        path: &DocumentPath,
        data: &Map,
        read: ReadDocument<'_>,
    ) -> Result<bool, EngineError> {
        if self.known.bytes() > KNOWN_BYTES_MAX || self.known.versions().len() > KNOWN_DOCUMENTS_MAX {
            self.known = Known::default();
            self.has_forgotten = true;
        }
        self.judge.lists(query, path, data, &mut self.known, read)
    }
}
