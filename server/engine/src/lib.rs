//! Reads, commits, the query planner and executor, indexes and access control of Andiron.
