//! What the fuzz targets of this crate run, behind the feature `fuzzing`: functions from any bytes to nothing, which panic
//! where a promise is broken.

mod draw;
mod lists;

use std::collections::HashSet;

pub use lists::{ListCase, list_case};

mod test_files;

pub use test_files::rules_tests;

use crate::diagnostic::{self, DIAGNOSTICS_MAX, Diagnostic};
use crate::limits::Limits;
use crate::program::Program;
use crate::source::{Source, Sources};
use crate::{check::check, format::format, parser::parse, re2, syntax};

/// A source of any text is parsed, checked and formatted: places lie in the text and in each other, the numbers of
/// expressions are unique and dense, diagnostics are bounded, formatting keeps the tree and is stable.
pub fn rules_source(bytes: &[u8]) {
    let Ok(source) = Source::from_bytes("fuzz.rules", bytes) else {
        return;
    };
    let mut sources = Sources::default();
    let id = sources.add(source.clone());
    let parsed = parse(id, &source);
    let text = source.text();

    let mut ids = HashSet::new();
    parsed.file.for_each_expression(&mut |expr| {
        let range = expr.span.range();
        assert!(
            range.start <= range.end
                && text.is_char_boundary(range.start)
                && text.is_char_boundary(range.end)
        );
        assert!(
            expr.id.0 < parsed.file.expressions && ids.insert(expr.id),
            "{expr:?}"
        );
        expr.for_each_child(|child| {
            assert!(
                range.start <= child.span.range().start && child.span.range().end <= range.end,
                "{expr:?} does not hold {child:?}"
            );
        });
    });
    examine(&parsed.diagnostics, &sources);

    let program = Program::single(source.clone());
    let checked = check(&program, &Limits::default());
    examine(checked.diagnostics(), program.sources());

    if let Ok(formatted) = format(&source) {
        let again = Source::new("fuzz.rules", formatted.as_str()).expect("formatting makes little longer");
        let reparsed = parse(id, &again);
        assert_eq!(syntax::dump(&parsed.file), syntax::dump(&reparsed.file));
        assert_eq!(
            parsed.file.comments.len(),
            reparsed.file.comments.len(),
            "comments were lost"
        );
        assert_eq!(
            format(&again).ok().as_deref(),
            Some(&*formatted),
            "formatting is not stable"
        );
    }
}

/// Diagnostics are few, and can be shown to people and programs in bounded space.
fn examine(diagnostics: &[Diagnostic], sources: &Sources) {
    assert!(diagnostics.len() <= DIAGNOSTICS_MAX + 1);
    for diagnostic in diagnostics {
        assert!(diagnostic::render(diagnostic, sources).len() < 10_000);
        let json = diagnostic::to_json(diagnostic, sources);
        assert!(
            json.line >= 1
                && json.column >= 1
                && (json.line, json.column) <= (json.end_line, json.end_column)
        );
    }
}

/// A pattern, up to the first line break, is refused or compiled in both ways, and what covers a whole text is found in it.
pub fn rules_pattern(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    let (pattern, text) = input.split_once('\n').unwrap_or((input, ""));
    let (anywhere, whole) = (re2::compile(pattern), re2::compile_full(pattern));
    assert_eq!(anywhere.is_ok(), whole.is_ok(), "{anywhere:?} {whole:?}");
    if let (Ok(anywhere), Ok(whole)) = (anywhere, whole) {
        assert!(anywhere.is_match(text) || !whole.is_match(text));
    }
}

/// A list under random rules is judged as its documents one by one are: never a document more, never one fewer.
pub fn rules_list(bytes: &[u8]) {
    let _ = list_case(bytes);
}
