//! For tests only: real servers on fresh folders, a client that hides nothing, and tables of endpoint scenarios.
//!
//! Whatever goes wrong here panics with what was seen: a helper that returned errors would only move the `unwrap`s.

#![expect(
    clippy::missing_panics_doc,
    reason = "everything here panics when a test is to fail"
)]

mod api;
mod fixtures;
mod process;
mod scenario;
mod server;
mod store_gate;
mod store_server;

pub use api::{Answer, Api};
pub use fixtures::{MOVIES_COUNT, movies, movies_file};
pub use process::{Output, ServerProcess, run, run_with};
pub use scenario::{Scenario, check};
pub use server::TestServer;
pub use store_gate::{Deed, StoreGate, StoreRequest};
pub use store_server::StoreServer;
