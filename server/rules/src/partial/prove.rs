//! Proving lists: a query is allowed if its own filter implies the rules, for all documents that it could return.
//!
//! The filter is taken apart into branches. For the documents of each the rules are evaluated with what the branch demands
//! of them known, and what is left must be true. Where it is not, the values of an `in` are tried one by one.

use super::condition::{ConditionKind, Shared};
use super::decide::Outcome;
use super::facts::{BRANCHES_MAX, Facts};
use super::project::extent;
use super::{ListProof, ListRequest, Unproved, UnprovedConjunct};
use crate::evaluate::{Documents, Ruleset};
use crate::source::Span;

impl Ruleset {
    /// Judges a list by its query alone, as hosted rules do: allowed only if the query proves that every document that
    /// it could ever return is.
    pub fn prove_list(&self, request: &ListRequest<'_>, documents: &Documents) -> ListProof {
        let mut lookups = Vec::new();
        let mut needs = Vec::new();
        let mut waiting = Facts::branches(request.query);
        let mut branches_left = BRANCHES_MAX.max(waiting.len());
        while let Some(facts) = waiting.pop() {
            branches_left = branches_left.saturating_sub(1);
            let judged = self.judge_list(request, documents, &facts);
            let condition = match &judged.outcome {
                Outcome::Needs => {
                    add_new(&mut needs, judged.needs);
                    continue;
                }
                Outcome::Judged(condition) => condition,
            };
            if matches!(condition.kind, ConditionKind::Known(true)) && judged.is_metered {
                add_new(&mut lookups, judged.lookups);
                continue;
            }
            match facts.split() {
                Some(split) if split.len() + waiting.len() <= branches_left => {
                    add_new(&mut lookups, judged.lookups);
                    waiting.extend(split);
                    continue;
                }
                _ => {}
            }
            let unproved = judged
                .alternatives
                .iter()
                .map(|alternative| Unproved {
                    allow: alternative.allow,
                    conjuncts: conjuncts(&facts.simplify(&alternative.granted)),
                })
                .collect();
            let mut denial = judged.into_denial();
            add_new(&mut denial.lookups, lookups);
            return ListProof::Deny {
                denial: Box::new(denial),
                unproved,
            };
        }
        if needs.is_empty() {
            ListProof::Allow { lookups }
        } else {
            ListProof::Needs(needs)
        }
    }
}

/// The conjuncts of a condition, each with the filter that it comes to, if there is one.
fn conjuncts(condition: &Shared) -> Vec<UnprovedConjunct> {
    let parts = match &condition.kind {
        // No document of the query can be allowed by it, and nothing more in the query would help.
        ConditionKind::Known(false) | ConditionKind::Failed => &[],
        ConditionKind::All(parts) => parts.as_slice(),
        _ => std::slice::from_ref(condition),
    };
    parts
        .iter()
        .map(|part| {
            let extent = extent(part, true);
            let is_expressible = extent.is_exact && !extent.is_unbounded() && !extent.is_empty();
            UnprovedConjunct {
                // What the pattern demands stands in no condition.
                span: part.span().filter(|span| *span != Span::default()),
                suggestion: is_expressible.then_some(extent.filter),
            }
        })
        .collect()
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}
