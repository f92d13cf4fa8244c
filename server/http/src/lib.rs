//! The HTTP interface of an Andiron server.
//!
//! Reading order: [`router()`] puts every route behind the `gate`, the one piece of middleware; a handler in `routes`
//! reads a request into types of the protocol, asks the engine, and writes the answer; `problem` is the one place
//! where an error becomes an answer; [`serve`] is the way from a listener to the router, with its limits and its end.
//!
//! Deliberately absent: how anything is stored, planned or authorized, and where settings come from. Nothing here is
//! global: an [`App`] is a value, and there may be many in a process.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod options;

mod app;
mod router;
mod routes;

mod answer;
mod body;
mod caller;
mod client;
mod compression;
mod conditional;
mod cors;
mod files_host;
mod gate;
mod idempotency_key;
mod live;
mod metrics;
mod ndjson;
mod openapi;
mod parameters;
mod problem;
mod request_id;
mod resource_path;
mod security_headers;
mod server;
mod session_cookies;

pub use app::{App, RulesAdministration, SaveRules, ServerInfo};
pub use client::{TrustedProxy, TrustedProxyError};
pub use cors::{CorsOrigin, CorsOriginError};
pub use metrics::ConnectionCount;
pub use openapi::openapi_json;
pub use options::{HttpOptions, MetricsAccess};
pub use router::{gated, local_router, router};
pub use server::{Listener, serve};

use idempotency_key::idempotency_key;
