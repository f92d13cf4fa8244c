//! The protocol's tests, in one binary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arbitrary;
mod filter_expression;
mod fuzzing;
mod limits;
mod properties;
mod spec;
