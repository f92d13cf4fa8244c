//! The crate through its public interface.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod service_key;
