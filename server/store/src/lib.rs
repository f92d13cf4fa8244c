//! The store contract of Andiron, its key encoding and an in-memory store.
