//! Field paths.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_protocol::fuzzing::field_path(bytes));
