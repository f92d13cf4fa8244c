//! What is told of a denial, and to whom.

use std::fmt;

use andiron_rules::Span;
use andiron_rules::evaluate::{Denial, Method};
use andiron_rules::partial::Unproved;

use super::RulesInForce;

/// Allows of which a detail tells.
const TOLD_ALLOWS_MAX: usize = 10;
/// Characters of an expression that a detail quotes.
const QUOTED_CHARS_MAX: usize = 120;

/// The caller may not do this. `Display` is what the client may see, and never says what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct AccessDenied {
    /// What the rules themselves say to the client, if they do.
    pub reason: Option<String>,
    /// What happened, with the files and lines of the rules: for the log, administrators and development.
    pub detail: String,
    /// The first of the places that the detail names.
    pub place: Option<RulePlace>,
}

/// A place in a rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// The file, by its path in the project.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for AccessDenied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            self.reason
                .as_deref()
                .unwrap_or("missing or insufficient permissions"),
        )
    }
}

impl fmt::Display for RulePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl AccessDenied {
    /// A denial in which the rules had no part.
    pub(crate) fn without_rules(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::default()
        }
    }

    /// What the rules say about an operation on something.
    pub(crate) fn new(rules: &RulesInForce, method: Method, on: &dyn fmt::Display, denial: &Denial) -> Self {
        let method = method.as_str();
        let mut denied = Self {
            reason: denial.reason.clone(),
            detail: format!(
                "{method} of `{on}` is denied by the rules, revision {}",
                rules.revision()
            ),
            place: None,
        };
        if let Some((span, mismatch)) = &denial.mismatch {
            let field = if mismatch.field.is_empty() {
                "the document"
            } else {
                &mismatch.field
            };
            let span = mismatch.condition.unwrap_or(*span);
            denied.tell(rules, span, &format!(": {field}: {}", mismatch.problem));
        }
        if let Some(error) = &denial.error {
            denied.tell(rules, error.span, &format!(": {error}"));
        }
        for tried in denial.tried.iter().take(TOLD_ALLOWS_MAX) {
            match (&tried.error, tried.condition) {
                (Some(error), _) => denied.tell(rules, error.span, &format!(": {error}")),
                (None, condition) => denied.tell(rules, condition.unwrap_or(tried.allow), " is false"),
            }
        }
        if denied.place.is_none() {
            denied
                .detail
                .push_str(&format!(": no `allow {method}` covers it"));
        }
        denied
    }

    /// Tells besides what a strict query leaves open, and what would prove it.
    pub(crate) fn leaving_open(mut self, rules: &RulesInForce, unproved: &[Unproved]) -> Self {
        let conjuncts = unproved.iter().flat_map(|unproved| &unproved.conjuncts);
        for conjunct in conjuncts.take(TOLD_ALLOWS_MAX) {
            let by = match &conjunct.suggestion {
                Some(filter) => format!(
                    "; a `where` of {} would prove it",
                    serde_json::to_string(filter).unwrap_or_default()
                ),
                None => String::new(),
            };
            let span = conjunct.span.unwrap_or_default();
            self.tell(rules, span, &format!(" is left open by the strict query{by}"));
        }
        self
    }

    fn tell(&mut self, rules: &RulesInForce, span: Span, what: &str) {
        let separator = if self.place.is_none() { ": " } else { "; " };
        let Some(place) = place_of(rules, span) else {
            self.detail
                .push_str(&format!("{separator}{}", what.trim_start_matches([':', ' '])));
            return;
        };
        let quoted = quote(rules.sources().text(span));
        self.detail
            .push_str(&format!("{separator}{place}: `{quoted}`{what}"));
        self.place.get_or_insert(place);
    }
}

fn place_of(rules: &RulesInForce, span: Span) -> Option<RulePlace> {
    let sources = rules.sources();
    if span.file.index() >= sources.iter().len() || span == Span::default() {
        return None;
    }
    let position = sources.position(span);
    Some(RulePlace {
        file: sources.get(span.file).name().to_owned(),
        line: position.line,
        column: position.column,
    })
}

/// An expression in one line, cut where it is long.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for word in text.split_whitespace() {
        if !quoted.is_empty() {
            quoted.push(' ');
        }
        quoted.push_str(word);
    }
    if let Some((cut, _)) = quoted.char_indices().nth(QUOTED_CHARS_MAX) {
        quoted.truncate(cut);
        quoted.push('…');
    }
    quoted
}
