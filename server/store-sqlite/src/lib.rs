//! The Andiron store contract on embedded SQLite.
