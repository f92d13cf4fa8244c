//! The functions of the fuzz targets on fixed seeds.

use andiron_store::fuzzing::{key_bytes, key_order};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Bytes drawn from few values, so that what is made of them is often equal or nearly so.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let common = [0x00, 0x01, 0x02, 0x12, 0x13, 0x27, 0x2D, 0x2F, 0x61, 0xF7, 0xFF];
    let byte = prop_oneof![3 => prop::sample::select(common.to_vec()), 1 => any::<u8>()];
    prop::collection::vec(byte, 0..120)
}

fn run(target: fn(&[u8]), strategy: impl Strategy<Value = Vec<u8>>, times: usize) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..times {
        target(&strategy.new_tree(&mut runner).unwrap().current());
    }
}

#[test]
fn keys_of_documents_made_from_any_bytes_keep_their_order() {
    run(key_order, bytes(), 5_000);
}

#[test]
fn nearly_equal_documents_keep_their_order() {
    // The second half of the bytes repeats the first one but for one byte.
    let halves = (any::<u8>(), bytes(), any::<prop::sample::Index>(), any::<u8>());
    let nearly = halves.prop_map(|(shape, half, place, changed)| {
        let mut bytes = [&[shape], &*half, &*half].concat();
        let place = place.index(bytes.len());
        bytes[place] = changed;
        bytes
    });
    run(key_order, nearly, 5_000);
}

#[test]
fn any_bytes_are_read_as_keys_without_failing() {
    run(key_bytes, bytes(), 5_000);
    // Long enough to hold a cut value.
    run(
        key_bytes,
        (bytes(), 1..80_usize).prop_map(|(bytes, times)| bytes.repeat(times)),
        5_000,
    );
}
