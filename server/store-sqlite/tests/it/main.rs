//! What the store promises beyond the contract, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod backup;
mod commits;
mod conformance;
mod damage;
mod disk;
mod faults;
mod opening;
mod power_loss;
mod support;
mod workload;
