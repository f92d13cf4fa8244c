//! Cursors: any text as one, and any content under the right checksum.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_engine::fuzzing::cursor(bytes));
