//! Forms with files, in pieces of any size.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_http::fuzzing::form(bytes));
