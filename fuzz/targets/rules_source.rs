//! Rules files: lexer, parser, checker and formatter.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| andiron_rules::fuzzing::rules_source(bytes));
