//! The fuzz targets on their seeds and some thousand mutations of them.

use std::fs;
use std::path::Path;

use andiron_protocol::fuzzing::with_mutations;
use andiron_store::fuzzing::{key_bytes, key_order};
use andiron_store::{IndexDefinition, IndexField, IndexFieldKind, IndexScope};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Mutations of the seeds of each target.
const MUTATIONS: usize = 10_000;

/// The seeds that cargo-fuzz starts from too, in the order of their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

fn run(target: &str, function: fn(&[u8])) {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, seed)| seed).collect();
    with_mutations(&seeds, MUTATIONS, function);
}

#[test]
fn keys_keep_the_order_of_documents() {
    run("key_order", key_order);
}

#[test]
fn any_bytes_are_read_as_keys_without_failing() {
    run("key_bytes", key_bytes);
}

#[test]
fn the_seeds_are_keys_of_entries() {
    for (name, seed) in seeds("key_bytes") {
        let definitions = [IndexScope::Collection, IndexScope::Group]
            .into_iter()
            .flat_map(|scope| {
                [IndexFieldKind::Ascending, IndexFieldKind::Descending].map(|kind| IndexDefinition {
                    collection: "c".to_owned(),
                    scope,
                    fields: ["a", "b"]
                        .map(|field| IndexField {
                            field: field.parse().unwrap(),
                            kind,
                        })
                        .to_vec(),
                })
            });
        let mut documents = definitions.filter_map(|definition| definition.document_of(&seed));
        assert!(documents.next().is_some(), "`{name}` is no key");
    }
}

#[test]
fn nearly_equal_documents_keep_their_order() {
    // Bytes drawn from few; the second half repeats the first one, and then one byte is another.
    let common = [0x00, 0x01, 0x02, 0x12, 0x13, 0x27, 0x2D, 0x2F, 0x61, 0xF7, 0xFF];
    let byte = prop_oneof![3 => prop::sample::select(common.to_vec()), 1 => any::<u8>()];
    let half = prop::collection::vec(byte, 0..120);
    let strategy = (any::<u8>(), half, any::<prop::sample::Index>(), any::<u8>());
    let mut runner = TestRunner::deterministic();
    for _ in 0..5_000 {
        let (shape, half, place, changed) = strategy.new_tree(&mut runner).unwrap().current();
        let mut bytes = [&[shape], &*half, &*half].concat();
        let place = place.index(bytes.len());
        bytes[place] = changed;
        key_order(&bytes);
    }
}
