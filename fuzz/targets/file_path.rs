//! Paths of URLs as names of files.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_http::fuzzing::file_path(bytes));
