//! Hashes that other programs made, for accounts that were imported. They are replaced at the first sign-in.
//!
//! Text forms: `$2b$…` (bcrypt, also `2a`, `2x` and `2y`), `$pbkdf2-sha256$i=ROUNDS$SALT$HASH` (also `sha1` and `sha512`), and
//! `$firebase-scrypt$m=MEMORY_COST,r=ROUNDS$SALT_SEPARATOR$SIGNER_KEY$SALT$HASH`, the parts in base64 as Firebase exports
//! them.

use std::num::NonZeroU32;

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use ring::pbkdf2;

use super::argon;
use crate::AuthError;
use crate::secret::is_equal;

/// Rounds of PBKDF2 that are computed at most: about a second.
const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;
/// The work factor of bcrypt that is computed at most: about a second.
const BCRYPT_COST_MAX: u32 = 14;
/// The memory cost of scrypt, as a power of two; with eight rounds 64 MiB.
const SCRYPT_MEMORY_COST_MAX: u8 = 16;
const SCRYPT_ROUNDS_MAX: u32 = 8;
/// Bytes of the key that Firebase encrypts with.
const SCRYPT_KEY_BYTES: usize = 32;

/// Base64 with or without padding: exports have both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A foreign hash, taken apart.
enum Foreign<'s> {
    Bcrypt(&'s str),
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        rounds: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    FirebaseScrypt {
        params: scrypt::Params,
        /// The account's salt and the project's separator, one after the other.
        salt: Vec<u8>,
        signer_key: Vec<u8>,
        hash: Vec<u8>,
    },
}

/// Whether the password is that of a foreign hash.
pub(super) fn verify(password: &[u8], stored: &str) -> bool {
    match parse(stored) {
        Some(Foreign::Bcrypt(stored)) => {
            // bcrypt takes 72 bytes, and programs that made such hashes cut there.
            let cut = &password[..password.len().min(72)];
            bcrypt::verify(cut, stored).unwrap_or(false)
        }
        Some(Foreign::Pbkdf2 {
            algorithm,
            rounds,
            salt,
            hash,
        }) => pbkdf2::verify(algorithm, rounds, &salt, password, &hash).is_ok(),
        Some(Foreign::FirebaseScrypt {
            params,
            salt,
            signer_key,
            hash,
        }) => {
            // The derived key encrypts the project's signer key, and the result is the hash.
            let mut key = [0; SCRYPT_KEY_BYTES];
            if scrypt::scrypt(password, &salt, &params, &mut key).is_err() {
                return false;
            }
            let mut encrypted = signer_key;
            Ctr128BE::<Aes256>::new(&key.into(), &[0; 16].into()).apply_keystream(&mut encrypted);
            is_equal(&encrypted, &hash)
        }
        None => false,
    }
}

/// Refuses hashes that no sign-in could check.
pub(crate) fn check_foreign_hash(stored: &str) -> Result<(), AuthError> {
    if argon::is_valid(stored) || parse(stored).is_some() {
        return Ok(());
    }
    Err(AuthError::input(
        "passwordHash",
        "this is not a hash that can be checked here: Argon2, bcrypt, PBKDF2 or Firebase's scrypt, in the forms of the \
         manual and within its costs",
    ))
}

fn parse(stored: &str) -> Option<Foreign<'_>> {
    let mut fields = stored.strip_prefix('$')?.split('$');
    let scheme = fields.next()?;
    let rest: Vec<_> = fields.collect();
    match (scheme, rest.as_slice()) {
        ("2a" | "2b" | "2x" | "2y", [cost, hash]) => {
            let cost: u32 = cost.parse().ok()?;
            let is_sane = (4..=BCRYPT_COST_MAX).contains(&cost) && hash.len() == 53;
            is_sane.then_some(Foreign::Bcrypt(stored))
        }
        ("pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512", [rounds, salt, hash]) => {
            let (algorithm, hash_bytes) = match scheme {
                "pbkdf2-sha1" => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
                "pbkdf2-sha256" => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
                _ => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
            };
            let rounds: u32 = rounds.strip_prefix("i=")?.parse().ok()?;
            let (salt, hash) = (BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?);
            let is_sane = rounds <= PBKDF2_ROUNDS_MAX && (16..=hash_bytes).contains(&hash.len());
            is_sane.then_some(Foreign::Pbkdf2 {
                algorithm,
                rounds: NonZeroU32::new(rounds)?,
                salt,
                hash,
            })
        }
        ("firebase-scrypt", [costs, separator, signer_key, salt, hash]) => {
            let (memory, rounds) = costs.strip_prefix("m=")?.split_once(",r=")?;
            let (memory, rounds): (u8, u32) = (memory.parse().ok()?, rounds.parse().ok()?);
            if !(1..=SCRYPT_MEMORY_COST_MAX).contains(&memory) || !(1..=SCRYPT_ROUNDS_MAX).contains(&rounds) {
                return None;
            }
            let mut salt = BASE64.decode(salt).ok()?;
            salt.extend(BASE64.decode(separator).ok()?);
            let (signer_key, hash) = (BASE64.decode(signer_key).ok()?, BASE64.decode(hash).ok()?);
            let params = scrypt::Params::new(memory, rounds, 1).ok()?;
            let is_sane = (16..=256).contains(&signer_key.len()) && hash.len() == signer_key.len();
            is_sane.then_some(Foreign::FirebaseScrypt {
                params,
                salt,
                signer_key,
                hash,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Firebase's published example of its own scrypt: `user1password`.
    const FIREBASE: &str = "$firebase-scrypt$m=14,r=8$Bw==$\
        jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$\
        lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

    #[test]
    fn hashes_of_other_programs_know_their_passwords() {
        for (stored, password) in [
            // OpenBSD's, of its test vectors.
            (
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                "U*U",
            ),
            // Of RFC 6070 and its counterpart for SHA-256.
            (
                "$pbkdf2-sha1$i=4096$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE",
                "password",
            ),
            (
                "$pbkdf2-sha256$i=4096$c2FsdA==$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o=",
                "password",
            ),
            (FIREBASE, "user1password"),
        ] {
            check_foreign_hash(stored).unwrap();
            assert!(verify(password.as_bytes(), stored), "{stored}");
            assert!(!verify(b"another", stored), "{stored}");
        }
    }

    #[test]
    fn hashes_that_are_none_or_cost_too_much_are_refused() {
        for stored in [
            "",
            "plain",
            "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2b$05$short",
            "$pbkdf2-sha256$i=4000000000$c2FsdA==$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o=",
            "$pbkdf2-sha256$i=0$c2FsdA==$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o=",
            "$pbkdf2-sha256$i=1$c2FsdA==$",
            "$pbkdf2-md5$i=1$c2FsdA==$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o=",
            "$firebase-scrypt$m=30,r=8$Bw==$jxspr8Ki0RYycVU8zykbdLGj$42xE$jxspr8Ki0RYycVU8zykbdLGj",
        ] {
            assert!(check_foreign_hash(stored).is_err(), "{stored}");
            assert!(!verify(b"password", stored), "{stored}");
        }
    }
}
