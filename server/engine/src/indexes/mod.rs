//! Indexes: which there are, how they come, and how they go.

mod index_set;
mod manager;
mod policy;

pub use policy::IndexPolicy;

pub(crate) use index_set::IndexSet;
pub(crate) use manager::IndexManager;
