//! Indexes: which there are, how they come, and how they go.

mod file;
mod index_set;
mod manager;
mod policy;

pub use file::{FILE_INDEXES_MAX, parse_index_file};
pub use policy::IndexPolicy;

pub(crate) use file::{definition_json, describe_definition};
pub(crate) use index_set::{IndexSet, ReadableIndex};
pub(crate) use manager::IndexManager;
