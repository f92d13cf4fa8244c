//! Codes of authenticators (RFC 6238): six digits of HMAC-SHA-1 over steps of 30 seconds, as every authenticator has them.

use andiron_protocol::Timestamp;
use ring::hmac;

/// Bytes of a secret, as RFC 4226 advises.
pub(crate) const SECRET_BYTES: usize = 20;
const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one whose codes are taken too: clocks differ, and typing takes time.
const STEPS_ASIDE: i64 = 1;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step whose code this is, if it is one of now and later than the last that was taken.
pub(crate) fn matching_step(secret: &str, code: &str, now: Timestamp, last_step: i64) -> Option<i64> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &from_base32(secret)?);
    let present = now.as_micros().div_euclid(STEP_SECONDS * 1_000_000);
    (present - STEPS_ASIDE..=present + STEPS_ASIDE)
        .filter(|step| *step > last_step)
        .find(|step| crate::secret::is_equal(code_of(&key, *step).as_bytes(), code.as_bytes()))
}

fn code_of(key: &hmac::Key, step: i64) -> String {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0xf);
    let number = u32::from_be_bytes([
        tag[offset] & 0x7f,
        tag[offset + 1],
        tag[offset + 2],
        tag[offset + 3],
    ]);
    format!("{:06}", number % 1_000_000)
}

/// Base32 without padding (RFC 4648).
pub(crate) fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8 | u32::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        buffer = (buffer << 5 | u32::try_from(value).ok()?) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six of eight digits.
        let secret = to_base32(b"12345678901234567890");
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let at = |seconds: i64| Timestamp::from_micros_clamped(seconds * 1_000_000);
            let step = seconds / 30;
            assert_eq!(matching_step(&secret, code, at(seconds), 0), Some(step));
            assert_eq!(matching_step(&secret, code, at(seconds + 30), 0), Some(step));
            assert_eq!(
                matching_step(&secret, code, at(seconds + 60), 0),
                None,
                "too late"
            );
            assert_eq!(
                matching_step(&secret, code, at(seconds), step),
                None,
                "taken already"
            );
        }
        for wrong in ["", "28708", "2870820", "abcdef"] {
            assert_eq!(
                matching_step(&secret, wrong, Timestamp::from_micros_clamped(59_000_000), 0),
                None
            );
        }
    }

    #[test]
    fn base32_goes_there_and_back() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            assert_eq!(from_base32(&to_base32(&bytes)), Some(bytes));
        }
        assert_eq!(from_base32("0"), None);
    }
}
