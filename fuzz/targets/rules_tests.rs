//! Tests of rules.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_rules::fuzzing::rules_tests(bytes));
