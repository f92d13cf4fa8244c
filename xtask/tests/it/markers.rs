//! No marks of unfinished work, and no tests that are switched off.

use crate::{expect_none, sources};

/// Put together at run time, so that this file is not its own first complaint.
fn markers() -> Vec<String> {
    let words = ["FIX", "HA", "X", "TO"].iter().zip(["ME", "CK", "XX", "DO"]);
    let macros = ["to", "db", "unimple"].iter().zip(["do!", "g!", "mented!"]);
    words
        .chain(macros)
        .map(|(start, end)| format!("{start}{end}"))
        .collect()
}

/// Whether `marker` stands in `line` as a word of its own.
fn holds(line: &str, marker: &str) -> bool {
    line.match_indices(marker).any(|(at, _)| {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part_of_word) && !line[at + marker.len()..].starts_with(part_of_word)
    })
}

#[test]
fn nothing_is_marked_as_unfinished() {
    let mut complaints = Vec::new();
    for ending in [".rs", ".toml"] {
        for (path, text) in sources(ending) {
            for (number, line) in text.lines().enumerate() {
                for marker in markers().iter().filter(|marker| holds(line, marker)) {
                    complaints.push(format!("{path}:{}: `{marker}`", number + 1));
                }
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn a_marker_is_a_word_of_its_own() {
    let marker = &markers()[0];
    assert!(holds(&format!("// {marker}: later"), marker));
    assert!(!holds(&format!("pre{marker} {marker}d"), marker));
}
