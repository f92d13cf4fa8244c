//! Access tokens: JSON Web Tokens that the server signs with Ed25519.
//!
//! One algorithm, one key for each `kid`, both ours: nothing in a token's header chooses how it is verified. A token
//! that verified is remembered for as long as the documents behind it, account and session, are what they were.

mod jwt;
mod signing_keys;
mod verified;

pub(crate) use jwt::Kind;
pub use signing_keys::{JsonWebKey, SigningKeyInfo};
pub(crate) use signing_keys::{SigningKeys, after};
pub(crate) use verified::{VerifiedToken, VerifiedTokens};
