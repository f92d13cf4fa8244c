//! The Andiron server and its command line.
