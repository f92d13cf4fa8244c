//! Public keys in COSE's form (RFC 9052), of the three kinds that authenticators have: ES256, Ed25519, and RS256 for Windows.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::cbor::Cbor;

const EDDSA: i64 = -8;
const ES256: i64 = -7;
const RS256: i64 = -257;
/// What is asked for, best first.
pub(super) const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];
/// Bytes of an RSA modulus.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Labels of a key's members.
const KIND: i64 = 1;
const ALGORITHM: i64 = 3;

#[derive(Clone, Debug)]
pub(super) enum PublicKey<'b> {
    /// The point, uncompressed.
    Es256([u8; 65]),
    Ed25519(&'b [u8]),
    Rs256 {
        modulus: &'b [u8],
        exponent: &'b [u8],
    },
}

impl<'b> PublicKey<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let key = Cbor::read_whole(bytes)?;
        let number = |label| key.number_member(label).and_then(Cbor::integer);
        let part = |label| key.number_member(label).and_then(Cbor::bytes);
        match (number(KIND)?, number(ALGORITHM)?) {
            (2, ES256) if number(-1) == Some(1) => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(part(-2).filter(|x| x.len() == 32)?);
                point[33..].copy_from_slice(part(-3).filter(|y| y.len() == 32)?);
                Some(Self::Es256(point))
            }
            (1, EDDSA) if number(-1) == Some(6) => {
                Some(Self::Ed25519(part(-2).filter(|point| point.len() == 32)?))
            }
            (3, RS256) => {
                let (modulus, exponent) = (part(-1)?, part(-2)?);
                let is_good = MODULUS_BYTES.contains(&modulus.len()) && (1..=8).contains(&exponent.len());
                is_good.then_some(Self::Rs256 { modulus, exponent })
            }
            _ => None,
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
            Self::Rs256 { modulus, exponent } => RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        verified.is_ok()
    }
}
