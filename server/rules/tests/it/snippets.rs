//! A table of small sources, `tests/grammar/*.txt`: what the grammar accepts and what it refuses.

use andiron_rules::{Code, Severity};

use crate::parse_text;

/// A small source.
pub(crate) struct Snippet {
    pub(crate) source: String,
    pub(crate) is_accepted: bool,
}

/// Every file of the table, and what surrounds its snippets.
const TABLE: &[(&str, &str, &str)] = &[
    (
        include_str!("../grammar/expressions.txt"),
        "service cloud.firestore { match /a { allow read: if ",
        "; } }",
    ),
    (
        include_str!("../grammar/patterns.txt"),
        "service cloud.firestore { match ",
        " { allow read; } }",
    ),
    (
        include_str!("../grammar/bodies.txt"),
        "service cloud.firestore { match /a { ",
        " } }",
    ),
    (include_str!("../grammar/files.txt"), "", ""),
];

pub(crate) fn snippets() -> Vec<Snippet> {
    let mut found = Vec::new();
    for (text, before, after) in TABLE {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let is_accepted = line.starts_with('+');
            let content = line.get(2..).unwrap_or_default().replace('⏎', "\n");
            found.push(Snippet {
                source: format!("{before}{content}{after}"),
                is_accepted,
            });
        }
    }
    found
}

#[test]
fn the_grammar_accepts_and_refuses_what_the_table_says() {
    let mut complaints = Vec::new();
    for snippet in snippets() {
        let (_, parsed) = parse_text(&snippet.source);
        let error = parsed
            .diagnostics
            .iter()
            .find(|diagnostic| matches!(diagnostic.code, Code::Syntax | Code::Version));
        if error.is_none() != snippet.is_accepted {
            let found = error.map_or("accepted", |error| &error.message);
            complaints.push(format!("{found}: {}", snippet.source));
        }
        let errors = parsed
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error);
        assert!(
            errors.count() <= 6,
            "a small mistake gives many errors: {}",
            snippet.source
        );
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
