//! Indexes: which there are, how they come, and how they go.
//!
//! Which index a query uses is the business of `query`; here is what exists ([`IndexSet`]), who builds and drops it
//! ([`IndexManager`]), and how a project can fix it in a file.

mod admin;
mod builder;
mod file;
mod index_set;
mod manager;
mod policy;
mod record;
mod shapes;
mod verify;
mod worker;

pub use admin::IndexInfo;
pub use file::{FILE_INDEXES_MAX, parse_index_file};
pub use policy::IndexPolicy;

pub(crate) use file::{definition_json, describe_definition};
pub(crate) use index_set::{IndexSet, ReadableIndex};
pub(crate) use manager::IndexManager;
