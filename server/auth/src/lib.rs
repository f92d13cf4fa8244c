//! Who a caller of an Andiron server is.
//!
//! Credentials come in, a [`andiron_engine::Caller`] goes out; what that caller may do is the engine's to say. Keys are
//! documents of system collections, changed by the engine's commits like everything else, so that a revoked key is
//! refused at the next request.

mod secret;
mod service_key;

pub use secret::SecretText;
pub use service_key::{AuthError, CreatedKey, ServiceKey, ServiceKeys};
