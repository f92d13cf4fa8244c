//! The HTTP interface of an Andiron server.
