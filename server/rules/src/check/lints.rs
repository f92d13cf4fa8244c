//! Lints: files that do something, but perhaps not what their authors think.
//!
//! One file for each family of traps. Every lint has a [`Code`](crate::Code), a message about what happens, and a hint.
//! Lints never make a program unusable.

mod access;
mod operations;
mod overlap;
mod precedence;
mod reach;

use super::Checker;
use super::condition::constant;
use crate::syntax::{Allow, LanguageVersion, Match, OperationKind, ServiceKind};

/// An `allow`, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Site<'p> {
    pub(super) service: ServiceKind,
    pub(super) version: LanguageVersion,
    /// The matches around it, the outermost first.
    pub(super) matches: Vec<&'p Match>,
    pub(super) allow: &'p Allow,
}

impl Site<'_> {
    /// The single operations that it is about.
    pub(super) fn operations(&self) -> impl Iterator<Item = OperationKind> {
        let single = |kind: &OperationKind| !matches!(kind, OperationKind::Read | OperationKind::Write);
        OperationKind::ALL
            .into_iter()
            .filter(single)
            .filter(|kind| self.allow.covers(*kind))
    }

    /// Whether it is about this operation and no other.
    pub(super) fn is_only(&self, operation: OperationKind) -> bool {
        self.operations().all(|kind| kind == operation)
    }

    /// Whether it always grants or never does, if either.
    pub(super) fn constant(&self, checker: &Checker<'_>) -> Option<bool> {
        match &self.allow.condition {
            Some(condition) => constant(&checker.checked, condition),
            None => Some(true),
        }
    }
}

/// The product of allows and expressions up to which every allow is followed through the functions that it calls. Larger
/// files are generated, and nobody reads lints on them.
const WORK_MAX: usize = 100_000_000;

/// Runs all lints.
pub(super) fn run(checker: &mut Checker<'_>) {
    let sites = std::mem::take(&mut checker.allows);
    precedence::lint(checker);
    let files = checker.program.files();
    let expressions: usize = files.iter().map(|file| file.expressions as usize).sum();
    if sites.len().saturating_mul(expressions) > WORK_MAX {
        return;
    }
    for site in &sites {
        access::lint(checker, site);
        operations::lint(checker, site);
        reach::lint(checker, site);
    }
    overlap::lint(checker, &sites);
}
