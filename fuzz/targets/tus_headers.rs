//! Headers of tus.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_http::fuzzing::tus_headers(bytes));
