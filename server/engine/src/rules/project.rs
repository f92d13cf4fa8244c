//! A project's rules as its files: read together, checked together, in force together.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_rules::diagnostic::has_errors;
use andiron_rules::{Checked, Diagnostic, Limits, Program, Ruleset, Source, check};

use super::RulesInForce;

/// The names of the files whose services are in force, in a project's folder. Those that are there add up: what one of
/// them allows is allowed.
pub const RULES_ROOTS: [&str; 3] = ["andiron.rules", "firestore.rules", "storage.rules"];

/// Bytes of all rules files of a project together, which are kept with every revision.
pub const RULES_BYTES_MAX: usize = 1 << 20;

/// The rules files of a project: names, which are paths from its folder, and texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesFiles(BTreeMap<String, Arc<str>>);

impl RulesFiles {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or takes it in the place of the one of this name.
    pub fn insert(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) {
        self.0.insert(name.into(), text.into());
    }

    /// The text of a file.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| &**text)
    }

    /// Names and texts, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), &**text))
    }

    /// Whether there is a file whose services would be in force.
    pub fn has_root(&self) -> bool {
        RULES_ROOTS.iter().any(|root| self.0.contains_key(*root))
    }

    /// Bytes of all texts together.
    pub fn bytes(&self) -> usize {
        self.0.values().map(|text| text.len()).sum()
    }
}

/// Rules files that have been read and checked.
#[derive(Debug)]
pub struct CheckedRules {
    program: Program,
    checked: Checked,
    limits: Limits,
}

impl CheckedRules {
    /// Reads and checks a project's rules. What is wrong with them is among the diagnostics.
    pub fn of(files: &RulesFiles, limits: &Limits) -> Self {
        let program = load(files);
        let checked = check(&program, limits);
        Self {
            program,
            checked,
            limits: limits.clone(),
        }
    }

    /// The program, for showing its diagnostics.
    pub fn program(&self) -> &Program {
        &self.program
    }

    pub(super) fn into_program(self) -> Program {
        self.program
    }

    /// What is wrong with them, and what may be.
    pub fn diagnostics(&self) -> Vec<&Diagnostic> {
        let of_program = self.program.diagnostics().iter();
        // What the checker says of a tree that lacks something means nothing.
        let of_checker = if self.program.has_errors() {
            &[][..]
        } else {
            self.checked.diagnostics()
        };
        of_program.chain(of_checker).collect()
    }

    /// Whether they must not be used.
    pub fn has_errors(&self) -> bool {
        self.program.has_errors() || has_errors(self.checked.diagnostics())
    }

    /// Ready to be put into force; `None` if they must not be.
    pub(super) fn into_rules(self, revision: String) -> Option<RulesInForce> {
        if self.has_errors() {
            return None;
        }
        let ruleset = Ruleset::new(&self.program, &self.checked, self.limits);
        Some(RulesInForce::new(ruleset, self.program, revision))
    }
}

/// The program that the files make. Files that no root imports are no part of it.
fn load(files: &RulesFiles) -> Program {
    let roots = RULES_ROOTS
        .iter()
        .filter_map(|root| files.0.get_key_value(*root))
        // A text beyond `RULES_BYTES_MAX` does not get here.
        .filter_map(|(name, text)| Source::new(name.as_str(), Arc::clone(text)).ok())
        .collect();
    Program::load(roots, &mut |name| {
        files
            .get(name)
            .map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| "there is no such file".to_owned())
    })
}
