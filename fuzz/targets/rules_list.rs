//! Random rules, documents and queries: the straightforward evaluator against the partial one.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_rules::fuzzing::rules_list(bytes));
