//! Diagnostics on the way out: as text, as JSON, and as an exit code.

use andiron_rules::diagnostic::{Diagnostic, DiagnosticJson, Severity, render, to_json};
use andiron_rules::{Limits, Sources};
use serde::Serialize;

use crate::cli::output::counted;

/// Which limits rules are held to.
pub(super) fn limits(is_firebase: bool) -> Limits {
    if is_firebase {
        Limits::firebase_strict()
    } else {
        Limits::default()
    }
}

/// How many diagnostics there are of each kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) notes: usize,
}

impl Tally {
    pub(super) fn count(&mut self, diagnostic: &Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => self.notes += 1,
        }
    }

    /// As in `1 error, 2 warnings`.
    pub(super) fn sentence(self) -> String {
        let parts: Vec<_> = [
            (self.errors, "error"),
            (self.warnings, "warning"),
            (self.notes, "note"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(count as u64, noun))
        .collect();
        parts.join(", ")
    }
}

/// Diagnostics as people read them, with empty lines between them.
pub(super) fn rendered<'d>(
    diagnostics: impl IntoIterator<Item = &'d Diagnostic>,
    sources: &Sources,
) -> String {
    let texts: Vec<_> = diagnostics
        .into_iter()
        .map(|diagnostic| render(diagnostic, sources))
        .collect();
    texts.join("\n")
}

/// Diagnostics as programs read them.
pub(super) fn as_json<'d>(
    diagnostics: impl IntoIterator<Item = &'d Diagnostic>,
    sources: &'d Sources,
) -> Vec<DiagnosticJson<'d>> {
    diagnostics
        .into_iter()
        .map(|diagnostic| to_json(diagnostic, sources))
        .collect()
}
