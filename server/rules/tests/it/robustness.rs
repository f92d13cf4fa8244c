//! Hostile and broken text: no panic, bounded time, bounded output, and spans that fit.

use std::time::{Duration, Instant};

use andiron_rules::{
    Code, Source, Sources,
    diagnostic::{self, DIAGNOSTICS_MAX},
    parse, syntax,
};
use proptest::prelude::*;

use crate::{
    golden,
    mutation::{Random, mutate},
    parse_text,
};

/// Parses, and checks what holds for every text.
fn examine(text: &str) {
    let (sources, parsed) = parse_text(text);
    assert!(parsed.diagnostics.len() <= DIAGNOSTICS_MAX + 1);
    let mut ids = Vec::new();
    parsed.file.for_each_expression(&mut |expr| {
        assert!(expr.span.start <= expr.span.end && expr.span.end as usize <= text.len());
        assert!(
            text.is_char_boundary(expr.span.start as usize) && text.is_char_boundary(expr.span.end as usize)
        );
        expr.for_each_child(|child| {
            assert!(
                expr.span.start <= child.span.start && child.span.end <= expr.span.end,
                "{expr:?} does not hold {child:?} in {text:?}"
            );
        });
        ids.push(expr.id);
    });
    ids.sort();
    ids.dedup();
    assert!(ids.last().is_none_or(|last| last.0 < parsed.file.expressions));
    for diagnostic in &parsed.diagnostics {
        assert!(diagnostic::render(diagnostic, &sources).len() < 4000);
        serde_json::to_string(&diagnostic::to_json(diagnostic, &sources)).unwrap();
    }
    syntax::dump(&parsed.file);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed(text in "\\PC{0,200}") {
        examine(&text);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(source) = Source::from_bytes("any.rules", &bytes) {
            examine(source.text());
        }
    }

    #[test]
    fn any_sequence_of_tokens_is_parsed(words in proptest::collection::vec(token(), 0..60)) {
        examine(&words.join(" "));
        examine(&words.concat());
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "service",
        "cloud.firestore",
        "match",
        "allow",
        "read",
        "if",
        "function",
        "let",
        "return",
        "type",
        "is",
        "in",
        "import",
        "rules_version",
        "else",
        "where",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        "=",
        "==",
        "!",
        "-",
        "--",
        "/",
        "/a",
        "/{a}",
        "/$(a)",
        "/{a=**}",
        "/*",
        "*/",
        "//",
        "\n",
        ".",
        "?.",
        "?",
        "??",
        ":",
        ",",
        ";",
        "|",
        "||",
        "&&",
        "a",
        "1",
        "1.5",
        "'a'",
        "b'a'",
        "\"",
        "all(",
        "...",
        "null",
        "true",
        "*",
        "**",
        "%",
        "é",
        "\\",
    ])
}

#[test]
fn mutations_of_good_files_are_parsed() {
    let sources = golden::sources();
    let mut random = Random::new(7);
    for _ in 0..2000 {
        let (_, text) = &sources[random.below(sources.len())];
        examine(&mutate(text, &mut random));
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{'a': ", "}"),
        ("!", ""),
        ("-(", ")"),
        ("f(", ")"),
        ("a.b(", ")"),
        ("a[", "]"),
        ("/a/$(", ")"),
        ("a ? b : ", "c"),
        ("a ? ", ": c"),
        ("a && (", ")"),
        ("--", ""),
        ("+", ""),
    ] {
        let deep = format!("{}a{}", open.repeat(50_000), close.repeat(50_000));
        let text = format!("service cloud.firestore {{ match /a {{ allow read: if {deep}; }} }}");
        examine(&text);
        let (_, parsed) = parse_text(&text);
        assert!(!parsed.diagnostics.is_empty(), "{open} may be nested without end");
    }
    let matches = format!(
        "service cloud.firestore {{ {} allow read; {} }}",
        "match /a {".repeat(50_000),
        "}".repeat(50_000)
    );
    examine(&matches);
    for (open, close) in [("(", ")"), ("{a: ", "}"), ("list<", ">"), ("string where ", "")] {
        let types = format!(
            "rules_version = 'andiron1'; type A = {}int{};",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        examine(&types);
    }
}

#[test]
fn a_long_chain_of_operators_is_an_error_and_no_stack_overflow() {
    for operator in [
        " && a", " || a", " + a", " in a", " is int", ".a", "[0]", ".a()", " == a", " ?? a",
    ] {
        let text = format!(
            "rules_version = 'andiron1'; service cloud.firestore {{ match /a {{ allow read: if a{}; }} }}",
            operator.repeat(20_000)
        );
        let (_, parsed) = parse_text(&text);
        assert!(
            parsed
                .diagnostics
                .iter()
                .any(|diagnostic| diagnostic.code == Code::Limit || diagnostic.message.contains("nested")),
            "`{operator}` may be repeated without end"
        );
        examine(&text);
    }
}

#[test]
fn time_is_linear_for_text_that_invites_searching_again_and_again() {
    for part in [
        "/*", "/{", "/{a=", "{ ", "\"\n", "match", "allow ", "\\", "/** ", "/// \n", "x?", "(", ")", "‘",
        "/(a", "<",
    ] {
        let text = |count: usize| format!("service cloud.firestore {{ match /a {{ {}", part.repeat(count));
        let begun = Instant::now();
        parse_text(&text(400_000));
        // A quadratic search would take hours.
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{part:?} takes {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn there_are_not_more_diagnostics_than_the_limit() {
    let text = format!(
        "service cloud.firestore {{ match /a {{ {} }} }}",
        "allow read: if; ".repeat(10_000)
    );
    let (_, parsed) = parse_text(&text);
    assert_eq!(parsed.diagnostics.len(), DIAGNOSTICS_MAX + 1);
    assert_eq!(parsed.diagnostics.last().unwrap().code, Code::TooManyDiagnostics);
}

#[test]
fn a_source_that_is_too_long_is_refused() {
    let text = " ".repeat(andiron_rules::source::SOURCE_BYTES_MAX + 1);
    assert!(Source::new("long.rules", text).is_err());
    let mut sources = Sources::default();
    let id = sources.add(Source::new("long.rules", " ".repeat(100)).unwrap());
    assert_eq!(parse(id, sources.get(id)).diagnostics.len(), 1);
}
