//! Commits as JSON, and what they write.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_protocol::fuzzing::commit_json(bytes));
