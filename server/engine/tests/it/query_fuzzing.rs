//! The fuzz target on its seeds and some thousand mutations of them.

use std::fs;
use std::path::Path;

use andiron_engine::fuzzing;
use andiron_protocol::fuzzing::with_mutations;

/// Mutations of the seeds.
const MUTATIONS: usize = 3_000;

#[test]
fn cursor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/cursor");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    with_mutations(&seeds, MUTATIONS, fuzzing::cursor);
}
