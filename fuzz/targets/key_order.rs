//! Keys of index entries, against the order of documents.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_store::fuzzing::key_order(bytes));
