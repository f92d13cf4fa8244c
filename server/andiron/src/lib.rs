//! The Andiron server and its command line.
//!
//! [`Server`] is the whole server as a value; the binary wraps it into a process, and tests start many in theirs. The
//! commands that work on data do so through the REST interface ([`client`]), over a URL or the local socket of the
//! folder's server, so that there is one way in.
//!
//! Deliberately absent: what documents, queries and commits are. That is the crates' below.

mod error;
mod files;

pub mod client;
pub mod config;

mod accounts;
mod heap;
mod import;
mod local;
mod local_api;
mod log;
mod project;
mod rules_folder;
mod server;

pub mod cli;

pub use error::AndironError;
pub use project::{Project, SOCKET_FILE};
pub use server::{Reach, Server};
