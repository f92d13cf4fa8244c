//! Tests of the store crate through its public interface.

#![expect(clippy::unwrap_used, reason = "a failure in a test is its message")]

mod fuzzing;
mod index;
mod key;
mod memory;
mod values;
