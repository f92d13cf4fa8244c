//! The rules that are in force.

use std::fmt;
use std::sync::Arc;

use andiron_rules::{Program, Ruleset, Sources};
use arc_swap::ArcSwapOption;

use crate::Engine;

/// A ruleset with its revision and the program that it was made from. It never changes; others take its place.
pub struct RulesInForce {
    ruleset: Ruleset,
    program: Program,
    revision: String,
}

/// The place of the rules in force; without any nobody but administrators may do anything.
pub(crate) type RulesPlace = ArcSwapOption<RulesInForce>;

impl RulesInForce {
    /// A ruleset made from a program; `revision` is whatever tells one from another, and stands in the
    /// log beside every denial.
    pub fn new(ruleset: Ruleset, program: Program, revision: impl Into<String>) -> Self {
        Self {
            ruleset,
            program,
            revision: revision.into(),
        }
    }

    /// What judges.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// What it was made from.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The files that the spans of its decisions are about.
    pub fn sources(&self) -> &Sources {
        self.program.sources()
    }

    /// Which revision it is.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl fmt::Debug for RulesInForce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RulesInForce")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Puts rules into force, or takes them out of force: then nobody but administrators may do anything.
    ///
    /// Reads and queries that have begun end by the rules that they began with. Not so commits: those that the writer takes
    /// up after this returns are let through by these rules or not at all, whatever let them through before.
    pub fn set_rules(&self, rules: Option<Arc<RulesInForce>>) {
        self.shared.rules.store(rules);
        self.shared.live.tell_news();
    }

    /// The rules in force.
    pub fn rules(&self) -> Option<Arc<RulesInForce>> {
        self.shared.rules.load_full()
    }
}
