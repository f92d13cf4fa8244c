//! Filters as expressions.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_protocol::fuzzing::filter_expression(bytes));
