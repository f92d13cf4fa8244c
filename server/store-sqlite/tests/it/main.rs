//! What the store promises beyond the contract, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod commits;
mod conformance;
mod support;
