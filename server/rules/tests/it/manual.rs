//! The manual, `docs/rules.md` and `docs/coming-from-firebase.md`: every snippet is tried, every diagnostic explained,
//! every method and function named.
//!
//! What a snippet is, stands behind its fence:
//! - `rules`: a whole file without errors or warnings
//! - `rules-part`: the same, as what stands in `match /databases/{database}/documents { … }`
//! - `rules-bad CODE`: a whole file or a part that is complained about with this code
//! - `rules-test`: tests that the last `rules` pass
//! - `values`: `expression → value`, or `→ ! error`

use andiron_rules::evaluate::Coverage;
use andiron_rules::format::format_tests;
use andiron_rules::language::{all_builtins, all_methods};
use andiron_rules::testing::{Subject, TestFile};
use andiron_rules::{Code, Limits, Program, Severity, Source};

use crate::evaluate_support::world;

const RULES: &str = include_str!("../../../../docs/rules.md");
const FIREBASE: &str = include_str!("../../../../docs/coming-from-firebase.md");

/// What stands behind a fence, its text, and the line that it begins in.
struct Snippet {
    info: String,
    text: String,
    line: usize,
}

fn snippets(manual: &str) -> Vec<Snippet> {
    let mut found: Vec<Snippet> = Vec::new();
    let mut is_open = false;
    for (number, line) in manual.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(info) if !is_open => {
                is_open = true;
                found.push(Snippet {
                    info: info.to_owned(),
                    text: String::new(),
                    line: number + 1,
                });
            }
            Some(_) => is_open = false,
            None if is_open => {
                let snippet = found.last_mut().unwrap();
                snippet.text.push_str(line);
                snippet.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!is_open, "a fence is not closed");
    found
}

/// A part put into what surrounds it; a whole file as it is.
fn whole(text: &str, version: &str) -> String {
    if text.contains("service ") {
        return text.to_owned();
    }
    format!(
        "rules_version = '{version}';\nservice cloud.firestore {{ match /databases/{{database}}/documents {{\n{text}}} }}"
    )
}

fn subject(text: &str) -> Subject {
    let program = Program::single(Source::new("manual.rules", text).unwrap());
    Subject::new(program, Limits::default())
}

/// What is complained about, notes left out.
fn complaints(subject: &Subject) -> Vec<String> {
    subject
        .diagnostics()
        .filter(|diagnostic| diagnostic.severity > Severity::Note)
        .map(|diagnostic| format!("{}: {}", diagnostic.code.as_str(), diagnostic.message))
        .collect()
}

#[test]
fn every_snippet_of_the_manual_is_as_it_says() {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for (name, manual) in [("rules.md", RULES), ("coming-from-firebase.md", FIREBASE)] {
        let mut rules = None;
        for snippet in snippets(manual) {
            let place = format!("{name}:{}", snippet.line);
            let (kind, code) = snippet.info.split_once(' ').unwrap_or((&snippet.info, ""));
            *counts.entry(kind.to_owned()).or_default() += 1;
            match kind {
                "rules" | "rules-part" => {
                    let subject = subject(&whole(&snippet.text, "2"));
                    let complaints = complaints(&subject);
                    assert!(complaints.is_empty(), "{place}: {complaints:?}");
                    if kind == "rules" {
                        rules = Some(subject);
                    }
                }
                "rules-bad" => {
                    let subject = subject(&whole(&snippet.text, "2"));
                    let codes: Vec<_> = subject
                        .diagnostics()
                        .map(|diagnostic| diagnostic.code.as_str())
                        .collect();
                    assert!(codes.contains(&code), "{place}: {codes:?}");
                }
                "rules-test" => {
                    let source = Source::new(place.as_str(), snippet.text.as_str()).unwrap();
                    assert!(format_tests(&source).is_ok(), "{place}");
                    let tests = TestFile::read(source);
                    let complaints: Vec<_> = tests
                        .diagnostics()
                        .iter()
                        .map(|problem| &problem.message)
                        .collect();
                    assert!(complaints.is_empty(), "{place}: {complaints:?}");
                    for outcome in tests.run(rules.as_ref().unwrap(), &mut Coverage::default()) {
                        assert!(outcome.passes(), "{:#?}", outcome.failures);
                    }
                }
                "values" => {
                    for line in snippet.text.lines() {
                        let (expression, expected) = line.split_once(" → ").unwrap();
                        let value = world().value_in("andiron1", "", expression);
                        assert_eq!(value, expected, "{place}: {expression}");
                    }
                }
                "json" | "js" | "sh" | "" => {}
                other => panic!("{place}: nobody knows what `{other}` is"),
            }
        }
    }
    for (kind, least) in [
        ("rules", 8),
        ("rules-part", 4),
        ("rules-bad", 30),
        ("rules-test", 6),
        ("values", 4),
    ] {
        assert!(
            counts.get(kind).is_some_and(|count| *count >= least),
            "{kind}: {counts:?}"
        );
    }
}

#[test]
fn every_diagnostic_leads_to_its_place_in_the_manual() {
    let headings: Vec<_> = RULES
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    for code in Code::ALL {
        assert!(
            headings.contains(&code.as_str()),
            "`{}` is not explained",
            code.as_str()
        );
        assert_eq!(code.docs(), format!("docs/rules.md#{}", code.as_str()));
    }
}

#[test]
fn every_method_and_function_is_in_the_manual() {
    for method in all_methods() {
        let written = format!("`{}", method.name);
        assert!(
            RULES.contains(&format!("{written}(")) || RULES.contains(&format!("{written}`")),
            "{}.{}",
            method.receiver.as_str(),
            method.name
        );
    }
    for builtin in all_builtins() {
        let written = match builtin.namespace {
            Some(namespace) => format!("`{}.{}(", namespace.as_str(), builtin.name),
            None => format!("`{}(", builtin.name),
        };
        assert!(RULES.contains(&written), "{written}");
    }
}

#[test]
fn every_link_of_the_manual_leads_somewhere() {
    let anchor = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words
            .chars()
            .filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'))
            .map(|character| if character == ' ' { '-' } else { character })
            .collect()
    };
    let anchors = |manual: &str| -> Vec<String> {
        manual
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(anchor)
            .collect()
    };
    let (rules, firebase) = (anchors(RULES), anchors(FIREBASE));
    for (manual, own) in [(RULES, &rules), (FIREBASE, &firebase)] {
        for link in manual.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let known = match file {
                "" => own,
                "rules.md" => &rules,
                "coming-from-firebase.md" => &firebase,
                _ => continue,
            };
            assert!(
                fragment.is_empty() || known.iter().any(|known| known == fragment),
                "{target}"
            );
        }
    }
}
