//! The formatter: one layout for all rules files, with every comment kept.
//!
//! It goes along the tree and the tokens together, so that each token is written exactly once and in its order; only white
//! space, optional semicolons and trailing commas change. Where authors broke a line between the terms of a condition, or
//! behind the brace of a map, it stays broken. Before a result is given, it is parsed again and its tree compared with that
//! of the source: formatting never changes what a file means. Formatting what is formatted changes nothing.

mod declaration;
mod document;
mod expression;
mod test_file;
mod tokens;
mod types;

use crate::diagnostic::{Diagnostic, Diagnostics, has_errors};
use crate::lexer::{self, TokenKind};
use crate::parser::{parse, parse_test_file};
use crate::source::{FileId, Source};
use crate::syntax;

/// The columns that a line has, unless a single token is longer.
pub const LINE_COLUMNS_MAX: usize = 100;

/// How often a result is formatted again until nothing changes. Comments in unusual places may move once or twice.
const PASSES_MAX: usize = 6;

/// Formats a file.
///
/// # Errors
/// The file has syntax errors; these are returned.
pub fn format(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse(FileId::default(), source);
    if has_errors(&parsed.diagnostics) {
        return Err(parsed.diagnostics);
    }
    let tree = syntax::dump(&parsed.file);
    let mut text = source.text().to_owned();
    for _ in 0..PASSES_MAX {
        let Some(next) = pass(&text, &tree) else { break };
        if next == text {
            break;
        }
        text = next;
    }
    Ok(text)
}

/// Formats a test file.
///
/// # Errors
/// The file has syntax errors; these are returned.
pub fn format_tests(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let (_, diagnostics) = parse_test_file(FileId::default(), source);
    if has_errors(&diagnostics) {
        return Err(diagnostics);
    }
    let mut text = source.text().to_owned();
    for _ in 0..PASSES_MAX {
        let Some(next) = tests_pass(&text) else { break };
        if next == text {
            break;
        }
        text = next;
    }
    Ok(text)
}

/// Formats tests once. `None` if the result would say something else, or what a file says twice.
fn tests_pass(text: &str) -> Option<String> {
    let source = Source::new("", text).ok()?;
    let (tree, _) = parse_test_file(FileId::default(), &source);
    let formatted = test_file::test_file(&tree, text)?;
    (said(&formatted) == said(text)).then_some(formatted)
}

/// The tokens that a text consists of, but for those that may be left away.
fn said(text: &str) -> Vec<&str> {
    let lexed = lexer::lex(FileId::default(), text, &mut Diagnostics::default());
    lexed
        .tokens
        .iter()
        .filter(|token| !matches!(token.kind, TokenKind::Semicolon | TokenKind::Comma))
        .map(|token| &text[token.start as usize..token.end as usize])
        .collect()
}

/// Formats once. `None` if the result would mean something else, which a bug alone could bring about.
fn pass(text: &str, tree: &str) -> Option<String> {
    let source = Source::new("", text).ok()?;
    let parsed = parse(FileId::default(), &source);
    let formatted = declaration::file(&parsed.file, source.text())?;
    let again = Source::new("", formatted.as_str()).ok()?;
    let reparsed = parse(FileId::default(), &again);
    let is_same = !has_errors(&reparsed.diagnostics) && syntax::dump(&reparsed.file) == tree;
    debug_assert!(
        is_same,
        "formatting changed the meaning of\n{text}\nto\n{formatted}"
    );
    is_same.then_some(formatted)
}
