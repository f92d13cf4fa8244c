//! What the simulation did: documents at every version, and the rules by which the feed told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use andiron_engine::{Caller, RulesInForce};
use andiron_protocol::{DocumentPath, Map, Query, Version};

use crate::live_held::{Versioned, difference};
use crate::query_naive::Documents;
use crate::rules_naive::{may_get, visible};

/// What somebody listens to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Query(Arc<Query>),
    Document(DocumentPath),
}

#[derive(Default)]
pub(super) struct History {
    /// The documents after each commit.
    states: BTreeMap<Version, Versioned>,
    /// All rules that were ever put into force.
    rules: Vec<Arc<RulesInForce>>,
    /// Which of them were in force when the feed was at a version.
    told_by: BTreeMap<Version, BTreeSet<usize>>,
}

impl History {
    /// The documents as they are now.
    pub(super) fn now(&self) -> Versioned {
        let newest = self.states.last_key_value();
        newest.map(|(_, state)| state.clone()).unwrap_or_default()
    }

    pub(super) fn commit(&mut self, version: Version, writes: &BTreeMap<DocumentPath, Option<Map>>) {
        let mut state = self.now();
        for (path, data) in writes {
            match data {
                Some(data) => state.insert(path.clone(), (version, data.clone())),
                None => state.remove(path),
            };
        }
        // What changes nothing has no version of its own.
        if state == self.now() {
            return;
        }
        let before = self.states.last_key_value();
        assert!(
            before.is_none_or(|(before, _)| *before < version),
            "versions go up"
        );
        self.states.insert(version, state);
    }

    pub(super) fn put_into_force(&mut self, rules: Arc<RulesInForce>) {
        self.rules.push(rules);
    }

    pub(super) fn in_force(&self) -> &Arc<RulesInForce> {
        self.rules.last().expect("there are rules from the beginning")
    }

    /// The feed has taken everybody to this version.
    pub(super) fn step(&mut self, version: Version) {
        let rules = self.rules.len() - 1;
        self.told_by.entry(version).or_default().insert(rules);
    }

    fn at(&self, version: Version) -> (Documents, BTreeMap<DocumentPath, Version>) {
        let state = self.states.range(..=version).next_back();
        let (mut documents, mut versions) = (Documents::new(), BTreeMap::new());
        for (path, (version, data)) in state.into_iter().flat_map(|(_, state)| state) {
            documents.insert(path.clone(), data.clone());
            versions.insert(path.clone(), *version);
        }
        (documents, versions)
    }

    /// Fails unless this is what a caller sees at a version.
    pub(super) fn check(&self, caller: &Caller, target: &Target, version: Version, got: &Versioned) {
        let rules = self.told_by.get(&version);
        let rules = rules.unwrap_or_else(|| panic!("nobody was taken to {version}"));
        let mut wrong = Vec::new();
        for number in rules {
            match self.wrong(caller, &self.rules[*number], target, version, got) {
                None => return,
                Some(difference) => wrong.push(difference),
            }
        }
        panic!("{target:?} of {caller:?} at {version}: {wrong:?}");
    }

    fn wrong(
        &self,
        caller: &Caller,
        rules: &RulesInForce,
        target: &Target,
        version: Version,
        got: &Versioned,
    ) -> Option<String> {
        let (documents, versions) = self.at(version);
        let uid = match caller {
            Caller::User(user) => Some(user.uid.as_str()),
            _ => None,
        };
        match target {
            Target::Query(query) => {
                let seen = if caller.is_admin() {
                    documents
                } else {
                    visible(rules, uid, &documents, query)
                };
                difference(got, query, &seen, &versions)
            }
            Target::Document(path) => {
                if !caller.is_admin() && !may_get(rules, uid, &documents, path) {
                    return Some("what may not be got".to_owned());
                }
                let document = documents.get(path);
                let expected: Versioned = document
                    .map(|data| (path.clone(), (versions[path], data.clone())))
                    .into_iter()
                    .collect();
                (*got != expected).then(|| format!("{got:?} instead of {expected:?}"))
            }
        }
    }
}
