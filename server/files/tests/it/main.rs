//! Tests of files by the crate's own interface: stores that fail, stores on the network, parsers.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod failing_store;
mod support;

#[cfg(feature = "foreign-clients")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a module of the kit of the tests of crates above"
)]
#[path = "../../../testkit/src/store_gate.rs"]
mod store_gate;
#[cfg(feature = "foreign-clients")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a module of the kit of the tests of crates above"
)]
#[path = "../../../testkit/src/store_server.rs"]
mod store_server;

mod faults;
#[cfg(feature = "foreign-clients")]
mod remote;
#[cfg(feature = "foreign-clients")]
mod remote_faults;
#[cfg(feature = "foreign-clients")]
mod remote_uploads;
