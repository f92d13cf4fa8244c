//! The fuzz targets on their seeds, on the golden sources, and on mutations of both.

use std::fs;
use std::path::Path;

use andiron_protocol::fuzzing::with_mutations;
use andiron_rules::fuzzing;

use crate::{golden, snippets::snippets};

/// The seeds that cargo-fuzz starts from too, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn sources() {
    let mut all = seeds("rules_source");
    all.extend(golden::sources().into_iter().map(|(_, text)| text.into_bytes()));
    with_mutations(&all, 4000, fuzzing::rules_source);
    for snippet in snippets() {
        fuzzing::rules_source(snippet.source.as_bytes());
    }
}

#[test]
fn test_files() {
    with_mutations(&seeds("rules_tests"), 4000, fuzzing::rules_tests);
}

#[test]
fn patterns() {
    with_mutations(&seeds("rules_pattern"), 3000, fuzzing::rules_pattern);
}

#[test]
fn lists() {
    with_mutations(&seeds("rules_list"), 1500, fuzzing::rules_list);
}
