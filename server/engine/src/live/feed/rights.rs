//! What a listen rests on beside its documents: the rules in force and the documents that they looked up. Where these
//! change it is judged again before it is told anything else.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Version};

use super::super::inbox::Renumbered;
use super::super::start::From;
use super::super::view::{LiveTarget, State, View};
use super::{Feed, Phase, Shown};
use crate::query::Standing;
use crate::rules::RulesInForce;
use crate::{Caller, EngineError};

impl Feed {
    /// Has a listen be another caller's, or of the same one with other rights. It goes on from what its client has taken:
    /// what waits for the client was let through by rights that have ended.
    pub(super) fn set_caller(&mut self, caller: &Caller, renumbered: Renumbered) {
        let Renumbered {
            before,
            number,
            reached,
        } = renumbered;
        let Some(listen) = self.listens.get(&before) else {
            // It has ended, which its client is still told.
            return;
        };
        let has_all = reached.is_some_and(|token| token.version == listen.told);
        let from = if has_all && self.is_attached(before) {
            self.detach(before)
        } else {
            self.detach(before);
            From {
                since: reached.map(|token| (token.version, token.digest)),
                kept: None,
            }
        };
        let Some(mut listen) = self.listens.remove(&before) else {
            return;
        };
        listen.caller = caller.clone();
        let is_waiting = matches!(listen.phase, Phase::Waiting(_));
        if let Some(connection) = self.connections.get_mut(&listen.connection) {
            connection.listens.retain(|known| *known != before);
            connection.listens.push(number);
        }
        self.listens.insert(number, listen);
        if is_waiting {
            self.await_room(number, from);
        } else {
            self.begin(number, from);
        }
    }

    /// Judges all listens again if other rules are in force than before. Those that do not stay where they are begin again
    /// from the version of the step before.
    pub(super) fn follow_rules(
        &mut self,
        rules: Option<Arc<RulesInForce>>,
        state: State<'_>,
    ) -> Result<(), EngineError> {
        if is_same(self.rules.as_ref(), rules.as_ref()) {
            return Ok(());
        }
        self.rules = rules;
        let numbers: Vec<u64> = self.listens.keys().copied().collect();
        for number in numbers {
            self.judge_again(number, state)?;
        }
        Ok(())
    }

    /// Whether these rules are those in force.
    pub(super) fn is_in_force(&self, rules: Option<&Arc<RulesInForce>>) -> bool {
        is_same(self.rules.as_ref(), rules)
    }

    /// Judges a listen again because the rules have changed.
    fn judge_again(&mut self, number: u64, state: State<'_>) -> Result<(), EngineError> {
        if self.is_attached(number) && !self.listens.get(&number).is_some_and(|it| it.caller.is_admin()) {
            self.leave_or_stay(number, self.version, state)?;
        }
        Ok(())
    }

    /// Asks the rules again about a listen as a whole. If they demand the same as before it stays where it is; else it
    /// begins again, and is told nothing before it has. `version` is that of the state that its client has.
    pub(super) fn leave_or_stay(
        &mut self,
        number: u64,
        version: Version,
        state: State<'_>,
    ) -> Result<(), EngineError> {
        let Some(listen) = self.listens.get(&number) else {
            return Ok(());
        };
        let Phase::Attached(id) = listen.phase else {
            return Ok(());
        };
        if let (
            LiveTarget::Query(query),
            Some(Shown {
                view: View::Query(view),
                ..
            }),
        ) = (&listen.target, self.views.get(&id))
        {
            match Standing::begin(state.shared, &listen.caller, query, state.snapshot) {
                Ok((standing, list)) => {
                    let is_same = !standing.judges_documents()
                        && !view.standing.judges_documents()
                        && standing.demanded() == view.standing.demanded();
                    if is_same {
                        let known = list.iter().flat_map(|list| list.known().versions().keys());
                        let looked_up = known.cloned().collect();
                        self.rest_on(number, looked_up);
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.end(number, error);
                    return Ok(());
                }
            }
        }
        let mut from = self.detach(number);
        if let Some(since) = &mut from.since {
            since.0 = version;
        }
        self.begin(number, from);
        Ok(())
    }

    /// Notes what a listen rests on beside its own documents.
    pub(super) fn rest_on(&mut self, number: u64, looked_up: Vec<DocumentPath>) {
        let Some(listen) = self.listens.get_mut(&number) else {
            return;
        };
        let before = std::mem::replace(&mut listen.looked_up, looked_up.clone());
        for path in before {
            if let Some(dependents) = self.dependents.get_mut(&path) {
                dependents.retain(|known| *known != number);
                if dependents.is_empty() {
                    self.dependents.remove(&path);
                }
            }
        }
        for path in looked_up {
            self.dependents.entry(path).or_default().push(number);
        }
    }
}

fn is_same(left: Option<&Arc<RulesInForce>>, right: Option<&Arc<RulesInForce>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (left, right) => left.is_none() && right.is_none(),
    }
}
