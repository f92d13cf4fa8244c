//! The fuzz targets on their seeds and some thousand mutations of them.

use std::fs;
use std::path::Path;

use andiron_protocol::fuzzing::{self, with_mutations};

/// Mutations of the seeds of each target.
const MUTATIONS: usize = 4000;

/// The seeds that cargo-fuzz starts from too, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn value_json() {
    with_mutations(&seeds("value_json"), MUTATIONS, fuzzing::value_json);
}

#[test]
fn paths() {
    with_mutations(&seeds("paths"), MUTATIONS, fuzzing::paths);
}

#[test]
fn field_path() {
    with_mutations(&seeds("field_path"), MUTATIONS, fuzzing::field_path);
}

#[test]
fn filter_json() {
    with_mutations(&seeds("filter_json"), MUTATIONS, fuzzing::filter_json);
}

#[test]
fn filter_expression() {
    with_mutations(&seeds("filter_expression"), MUTATIONS, fuzzing::filter_expression);
}

#[test]
fn query_json() {
    with_mutations(&seeds("query_json"), MUTATIONS, fuzzing::query_json);
}

#[test]
fn commit_json() {
    with_mutations(&seeds("commit_json"), MUTATIONS, fuzzing::commit_json);
}

/// Else a target would run on nothing but errors, and see little.
#[test]
fn most_seeds_are_valid_input() {
    for (target, valid) in [
        (
            "value_json",
            seeds("value_json")
                .iter()
                .filter(|seed| andiron_protocol::from_json::<andiron_protocol::Value>(seed).is_ok())
                .count(),
        ),
        (
            "filter_json",
            seeds("filter_json")
                .iter()
                .filter(|seed| andiron_protocol::from_json::<andiron_protocol::Filter>(seed).is_ok())
                .count(),
        ),
        (
            "query_json",
            seeds("query_json")
                .iter()
                .filter(|seed| andiron_protocol::from_json::<andiron_protocol::Query>(seed).is_ok())
                .count(),
        ),
        (
            "commit_json",
            seeds("commit_json")
                .iter()
                .filter(|seed| andiron_protocol::from_json::<andiron_protocol::CommitBody>(seed).is_ok())
                .count(),
        ),
    ] {
        assert!(2 * valid > seeds(target).len(), "{valid} of {target}");
    }
}
