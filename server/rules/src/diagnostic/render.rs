//! Diagnostics as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Code, Diagnostic, Severity};
use crate::source::{Position, Sources, Span};

/// The characters of a source line that an excerpt shows.
const EXCERPT_CHARACTERS_MAX: usize = 140;

/// The characters shown before the marked ones when a line is longer than that.
const EXCERPT_CHARACTERS_BEFORE: usize = 60;

/// How many blanks stand for a tab in an excerpt.
const TAB_WIDTH: usize = 4;

/// A diagnostic as people read it: what, where, the line with a caret, what to do. Ends with a line break.
pub fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut text = format!(
        "{}[{}]: {}\n",
        diagnostic.severity.as_str(),
        diagnostic.code.as_str(),
        diagnostic.message
    );
    let width = std::iter::once(diagnostic.span)
        .chain(diagnostic.labels.iter().map(|label| label.span))
        .map(|span| sources.position(span).line.to_string().len())
        .max()
        .unwrap_or(1);
    excerpt(&mut text, sources, diagnostic.span, width, "-->", "");
    for label in &diagnostic.labels {
        excerpt(&mut text, sources, label.span, width, ":::", &label.message);
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(text, "{:width$} = hint: {hint}", "");
    }
    let _ = writeln!(text, "{:width$} = see {}", "", diagnostic.code.docs());
    text
}

fn excerpt(text: &mut String, sources: &Sources, span: Span, width: usize, arrow: &str, message: &str) {
    let Position { line, column } = sources.position(span);
    let _ = writeln!(
        text,
        "{:width$}{arrow} {}:{line}:{column}",
        "",
        sources.get(span.file).name()
    );
    let Excerpt { line_text, carets } = Excerpt::of(sources, span);
    let _ = writeln!(text, "{:width$} |", "");
    let _ = writeln!(text, "{line:width$} | {line_text}");
    let gap = if message.is_empty() { "" } else { " " };
    let _ = writeln!(text, "{:width$} | {carets}{gap}{message}", "");
}

/// The line where a span starts, or as much of it as is shown, and what stands below it.
struct Excerpt {
    line_text: String,
    carets: String,
}

impl Excerpt {
    fn of(sources: &Sources, span: Span) -> Self {
        let source = sources.get(span.file);
        let Position { line, column } = source.position(span.start);
        let shown = source.line(line);
        let before = column as usize - 1;
        let marked = source.text()[span.range()]
            .chars()
            .take(EXCERPT_CHARACTERS_MAX)
            .take_while(|character| *character != '\n')
            .count()
            .max(1);
        // A line of fewer bytes has fewer characters too.
        let is_long = shown.len() > EXCERPT_CHARACTERS_MAX;
        let skipped = if is_long {
            before.saturating_sub(EXCERPT_CHARACTERS_BEFORE)
        } else {
            0
        };
        let (mut line_text, mut carets) = (String::new(), String::new());
        if skipped > 0 {
            line_text.push('…');
            carets.push(' ');
        }
        let mut characters = shown.chars().enumerate().skip(skipped);
        for (index, character) in characters.by_ref().take(EXCERPT_CHARACTERS_MAX) {
            let columns = if character == '\t' { TAB_WIDTH } else { 1 };
            match character {
                '\t' => line_text.extend(std::iter::repeat_n(' ', TAB_WIDTH)),
                // A terminal must not obey what stands in a file.
                control if control.is_control() => line_text.push('\u{fffd}'),
                shown => line_text.push(shown),
            }
            if index < before {
                carets.extend(std::iter::repeat_n(' ', columns));
            }
        }
        if characters.next().is_some() {
            line_text.push('…');
        }
        let room = EXCERPT_CHARACTERS_MAX.saturating_sub(before - skipped).max(1);
        carets.extend(std::iter::repeat_n('^', marked.min(room)));
        Self { line_text, carets }
    }
}

/// A diagnostic as programs read it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticJson<'a> {
    /// How grave it is.
    pub severity: Severity,
    /// [`Code::as_str`].
    pub code: &'static str,
    /// One sentence.
    pub message: &'a str,
    /// The file's name.
    pub file: &'a str,
    /// The first line, from 1.
    pub line: u32,
    /// The first column, from 1, in characters.
    pub column: u32,
    /// The line of the end.
    pub end_line: u32,
    /// The column behind the last character.
    pub end_column: u32,
    /// The first line's text, or the part of it around the place.
    pub excerpt: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// Where the manual explains the code.
    pub docs: String,
    /// Other places that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelJson<'a>>,
}

/// A second place, as programs read it.
#[derive(Clone, Debug, Serialize)]
pub struct LabelJson<'a> {
    /// The file's name.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is there.
    pub message: &'a str,
}

/// A diagnostic with everything that its span stands for.
pub fn to_json<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> DiagnosticJson<'a> {
    let source = sources.get(diagnostic.span.file);
    let start = source.position(diagnostic.span.start);
    let end = source.position(diagnostic.span.end);
    let labels = diagnostic.labels.iter().map(|label| {
        let Position { line, column } = sources.position(label.span);
        LabelJson {
            file: sources.get(label.span.file).name(),
            line,
            column,
            message: &label.message,
        }
    });
    DiagnosticJson {
        severity: diagnostic.severity,
        code: Code::as_str(diagnostic.code),
        message: &diagnostic.message,
        file: source.name(),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        excerpt: Excerpt::of(sources, diagnostic.span).line_text,
        hint: diagnostic.hint.as_deref(),
        docs: diagnostic.code.docs(),
        labels: labels.collect(),
    }
}
