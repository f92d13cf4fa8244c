//! Tests of the rules language through its public interface.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod checker;
mod evaluate_logic;
mod evaluate_lookups;
mod evaluate_operators;
mod evaluate_scenarios;
mod evaluate_support;
mod evaluate_values;
mod explain;
mod formatting;
mod formatting_tests;
mod fuzzing;
mod golden;
mod manual;
mod mutation;
mod partial_lists;
mod partial_proofs;
mod partial_random;
#[cfg(feature = "published-grammar")]
mod published_grammar;
mod robustness;
mod snippets;
mod testing;
mod types_export;

use andiron_rules::{Parsed, Source, Sources, parse};

/// Parses a text on its own.
fn parse_text(text: &str) -> (Sources, Parsed) {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("test.rules", text).unwrap());
    let parsed = parse(id, sources.get(id));
    (sources, parsed)
}
