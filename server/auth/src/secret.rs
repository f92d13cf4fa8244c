//! Text that must not end up in logs.

use std::fmt;

use andiron_engine::Engine;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Text that is shown only when asked for by [`SecretText::expose`]; debug output hides it, and there is no other.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(…)")
    }
}

/// The SHA-256 of a secret that has enough bits of its own to need no slow hash, in hexadecimal.
pub(crate) fn hash(secret: &str) -> String {
    Sha256::digest(secret)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `BYTES` unpredictable bytes, in base64 for URLs.
pub(crate) fn random<const BYTES: usize>(engine: &Engine) -> String {
    let mut secret = [0; BYTES];
    engine.fill_random(&mut secret);
    URL_SAFE_NO_PAD.encode(secret)
}

/// Whether two secrets are equal, in a time that tells nothing about where they differ.
pub(crate) fn is_equal(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |difference, (left, right)| {
        std::hint::black_box(difference | (left ^ right))
    });
    left.len() == right.len() && difference == 0
}
