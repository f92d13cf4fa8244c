//! Queries as JSON.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_protocol::fuzzing::query_json(bytes));
