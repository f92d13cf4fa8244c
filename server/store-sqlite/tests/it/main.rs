//! What the store promises beyond the contract, seen from outside.

mod commits;
mod support;
