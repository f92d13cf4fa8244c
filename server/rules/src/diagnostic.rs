//! What is wrong with a rules file, and how it is said.
//!
//! A [`Diagnostic`] knows its place, its [`Code`] and a hint; rendering for people and for programs is in here too, so that
//! the command line, the console and the admin API show the same. Collections of them are bounded.

mod code;
mod render;

pub use code::{Code, Severity};
pub use render::{DiagnosticJson, LabelJson, render, to_json};

use crate::source::Span;

/// How many diagnostics one stage (lexing and parsing a file, or checking a program) gives at most.
pub const DIAGNOSTICS_MAX: usize = 200;

/// Something to say about a stretch of a rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Errors keep a program from being used; warnings do not.
    pub severity: Severity,
    /// Which kind of problem it is, for programs and for the manual.
    pub code: Code,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// What it is about.
    pub span: Span,
    /// Other places that matter.
    pub labels: Vec<Label>,
    /// What to do.
    pub hint: Option<String>,
}

/// A second place that a diagnostic points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub message: String,
}

impl Diagnostic {
    /// A diagnostic of the code's usual severity.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: code.severity(),
            code,
            message: message.into(),
            span,
            labels: Vec::new(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Adds another place.
    #[must_use]
    pub fn with_label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            message: message.into(),
        });
        self
    }

    /// Makes it an error or a warning, whatever its code says.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// Diagnostics while they are gathered: the first [`DIAGNOSTICS_MAX`], and one that says that there were more.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
    is_full: bool,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else if !self.is_full {
            self.is_full = true;
            let message = format!("there are more than {DIAGNOSTICS_MAX} problems; the rest are not shown");
            self.list.push(
                Diagnostic::new(Code::TooManyDiagnostics, diagnostic.span, message)
                    .with_severity(diagnostic.severity),
            );
        } else if diagnostic.severity == Severity::Error {
            // What is not shown must still keep the program from being used.
            if let Some(last) = self.list.last_mut() {
                last.severity = Severity::Error;
            }
        }
    }

    /// Whether nothing more is shown.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// In the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        let shown = if self.is_full {
            DIAGNOSTICS_MAX
        } else {
            self.list.len()
        };
        self.list[..shown].sort_by_key(|diagnostic| (diagnostic.span.file, diagnostic.span.start));
        self.list
    }
}

/// Whether there is an error among them.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}
