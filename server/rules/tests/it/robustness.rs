//! Hostile and broken text: no panic, bounded time, bounded output, and spans that fit.

use std::time::{Duration, Instant};

use andiron_rules::{
    Code, Limits, Program, Source, Sources, check, diagnostic::DIAGNOSTICS_MAX, fuzzing, parse,
};
use proptest::prelude::*;

use crate::{
    golden,
    mutation::{Random, mutate},
    parse_text,
};

/// What holds for every text; the fuzz target of the same name.
fn examine(text: &str) {
    fuzzing::rules_source(text.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed(text in "\\PC{0,200}") {
        examine(&text);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::rules_source(&bytes);
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
        "‘a", "`", "#", "# \n", "/(a", "<",
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

/// Programs that invite the checker to follow the same things again and again.
#[test]
fn checking_is_quick_for_programs_that_are_made_to_be_slow() {
    let repeat = |count: usize, part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<String>();
    let service = |inner: &str| {
        format!(
            "rules_version = 'andiron1'; service cloud.firestore {{ match /databases/{{d}}/documents/a/{{b}} {{ {inner} }} }}"
        )
    };
    let calls = |next: usize| vec![format!("f{next}()"); 50].join(" && ");
    let bindings = repeat(3000, &|index| format!("let a{} = a{index}; ", index + 1));
    let texts = [
        // Every function calls the next one fifty times.
        service(&format!(
            "{} function f40() {{ return true; }} allow read: if f0();",
            repeat(40, &|index| format!(
                "function f{index}() {{ return {}; }} ",
                calls(index + 1)
            ))
        )),
        service(&format!(
            "function f(a0) {{ {bindings} return a3000; }} allow list: if exists(/databases/a/documents/b/$(f(b)));"
        )),
        service(&format!("allow {};", vec!["get"; 50_000].join(", "))),
        service(&repeat(5000, &|index| {
            format!("allow get: if unknown{index}(x{index}); function g{index}() {{ return 1; }} ")
        })),
        service(&repeat(5000, &|index| {
            format!(
                "allow get: if f{index}(); function f{index}() {{ return [{}]; }} ",
                (0..20)
                    .map(|other| format!("f{}()", index + other + 1))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        })),
        format!(
            "rules_version = 'andiron1'; type A = {{ {} }};",
            repeat(20_000, &|index| format!("f{index}: int, "))
        ),
        format!(
            "rules_version = 'andiron1'; {}",
            repeat(5000, &|index| format!(
                "type T{index} = T{} where this.x == 1; ",
                index + 1
            ))
        ),
        format!(
            "service cloud.firestore {{ match {} {{ {} }} }}",
            "/a".repeat(100_000),
            repeat(2000, &|index| format!("match /b{index} {{ allow read; }} "))
        ),
        service(&repeat(60, &|index| {
            format!("allow get: if b.matches('(?s).{{0,1000}}{index}'); ")
        })),
        service(&repeat(2000, &|index| {
            format!(
                "match /{{x=**}}/c{index}/{{d}} {{ allow read: if request.auth != null; }} match /c{index}/{{d}} {{ allow read: if request.auth.token.a; }} "
            )
        })),
    ];
    for text in texts {
        let begun = Instant::now();
        let program = Program::single(Source::new("slow.rules", text.as_str()).unwrap());
        check(&program, &Limits::default());
        let shown: String = text.chars().skip(90).take(80).collect();
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{shown} takes {:?}",
            begun.elapsed()
        );
        if begun.elapsed() > Duration::from_secs(2) {
            println!("{:?} {shown}", begun.elapsed());
        }
    }
}
