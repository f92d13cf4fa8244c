//! Ids, document paths and collection paths.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_protocol::fuzzing::paths(bytes));
