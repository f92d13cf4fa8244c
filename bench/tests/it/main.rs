//! The load generator as its users see it: what it counts, what it refuses, and that its data is what it says.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod dataset;
mod http;
mod load;
mod report;
mod workload;
