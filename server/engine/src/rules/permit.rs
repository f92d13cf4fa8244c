//! Judging what is done elsewhere than in documents, which the engine does not do itself: to files and to accounts.
//!
//! Whoever does it hands the permit to the commit that follows, so that nothing is judged on one state and done on another.

use std::sync::Arc;

use andiron_protocol::{CommitBody, DocumentPath, Map, Read, Value};
use andiron_rules::evaluate::{Decision, Denial, Request};

use super::judge::{ROUNDS_MAX, undecided};
use super::{AccessDenied, Judge, Known, RulesInForce};
use crate::commit::Committed;
use crate::engine::Shared;
use crate::{Engine, EngineError};

/// That an operation may go on. What changes something goes to [`Engine::commit_with_permit`] with it.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct JudgedPermit {
    /// The documents that the rules looked up.
    reads: Vec<Read>,
    /// The rules that judged; `None` if none had to.
    rules: Option<Arc<RulesInForce>>,
    ceilings: Vec<Ceiling>,
}

/// How high the numbers of a document may have become when a commit has changed it.
///
/// Unlike a precondition it does not tie the commit to the document that was seen: of many commits at once that add to the same
/// numbers all are made, in one group, as long as there is room for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// The document, which the commit writes.
    pub path: DocumentPath,
    /// Its fields, top-level ones. What is missing or no integer counts for nothing.
    pub fields: &'static [&'static str],
    /// The most that they may be together.
    pub sum_max: i64,
}

impl Ceiling {
    /// Holds the data of the document against it, as the commit leaves it.
    pub(crate) fn check(&self, after: Option<&Map>) -> Result<(), EngineError> {
        let number = |name: &&str| match after.and_then(|after| after.get(*name)) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        };
        let sum = self.fields.iter().map(number).fold(0, i64::saturating_add);
        if sum <= self.sum_max {
            return Ok(());
        }
        Err(EngineError::CeilingExceeded {
            path: self.path.clone(),
            sum_max: self.sum_max,
        })
    }
}

impl JudgedPermit {
    /// The same, for a commit that also keeps below these.
    pub fn below(mut self, ceilings: Vec<Ceiling>) -> Self {
        self.ceilings.extend(ceilings);
        self
    }

    /// The permit for both of two operations. If the rules have changed between them, what rests on it is judged again.
    pub fn and(mut self, other: Self) -> Self {
        for read in other.reads {
            if !self.reads.contains(&read) {
                self.reads.push(read);
            }
        }
        self.rules = self.rules.or(other.rules);
        self.ceilings.extend(other.ceilings);
        self
    }
}

impl Engine {
    /// Applies what an operation does to documents of the server's own, if all that its permit rests on still holds when
    /// it is applied: the rules that judged, and every document that they looked up.
    ///
    /// # Errors
    /// [`EngineError::Aborted`] if it does not: then the operation is to be judged again. [`EngineError::CeilingExceeded`].
    /// Else as [`Engine::commit`].
    pub async fn commit_with_permit(
        &self,
        permit: JudgedPermit,
        mut body: CommitBody,
    ) -> Result<Committed, EngineError> {
        body.reads.extend(permit.reads);
        self.commit_resting_on(body, permit.rules, permit.ceilings).await
    }
}

impl Judge {
    /// Judges a request on one snapshot. `on` names what it is about, and a denial that `is_open` counts as none yet.
    pub(super) fn permit(
        &self,
        shared: &Shared,
        request: &Request<'_>,
        on: impl Fn() -> String,
        is_open: impl Fn(&Denial) -> bool,
    ) -> Result<JudgedPermit, EngineError> {
        let snapshot = shared.store.snapshot()?;
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        let mut known = Known::default();
        for _ in 0..ROUNDS_MAX {
            match self.rules().ruleset().decide(request, known.documents()) {
                Decision::Allow(_) => return Ok(self.resting_on(&known)),
                Decision::Deny(denial) if is_open(&denial) => return Ok(self.resting_on(&known)),
                Decision::Deny(denial) => {
                    return Err(AccessDenied::new(self.rules(), request.method, &on(), &denial).into());
                }
                Decision::Needs(paths) => known.look_up(paths, &mut read)?,
            }
        }
        Err(undecided().into())
    }

    fn resting_on(&self, known: &Known) -> JudgedPermit {
        let reads = known.versions().iter().map(|(path, version)| Read {
            path: path.clone(),
            version: *version,
        });
        JudgedPermit {
            reads: reads.collect(),
            rules: Some(Arc::clone(self.rules())),
            ceilings: Vec::new(),
        }
    }
}
