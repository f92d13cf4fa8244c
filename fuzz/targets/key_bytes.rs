//! Any bytes as keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_store::fuzzing::key_bytes(bytes));
