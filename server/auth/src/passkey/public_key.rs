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

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

    use super::*;

    const MESSAGE: &[u8] = b"what an authenticator signs";
    /// The modulus of a key, and the signature of the message by it, as OpenSSL has made them.
    const MODULUS: &str = concat!(
        "9bb3390debcb4b44ef06e6dfcd7bdbe4087f36b520e15909eefe172a03b74384a82605365d7cab7739dcb8f0446dc695",
        "a25041a620f11a10dedba79b86d96f7b91a177937bf011c78ba188548a42b34a64cf8ea7b5b05c2089e1957eb7443c13",
        "a4446cd1d98ecf2e02a8befc7ac9b76f60778a1c1289b811ca5763602fd6562290d70df69187157c63be4e3fe214f51d",
        "1758b3850e8d75657884fc7c6faf6452cebde07dcc7e22f62496df0e34e46b6be16aac2440c1c8a0f5125d177e019f0e",
        "df15ac7ee810999badfd2c84c457a86beba8f1af7a648da3e9b1d29241c627f3c29adac7b35a7d4352074185df65835c",
        "0ef3cefa6c651dc661c658dde12dfe43",
    );
    const SIGNATURE: &str = concat!(
        "014bcd54cc301ade9699012ba8befa6cf0b4994197123f9a0b2d4f8d65d065ef38b49053cc871cfcfbade2861f7ae627",
        "5729aaaf004527a58d5aea7c17fcdda9679f50a841696b765906139b3d208c37a295773aeb91681d9ca6709d30b7b94a",
        "c1d7a7cedef9fd515751f97b03484f4f2e54598e9c66641f79056fe9a8fe0914a40197c88b59aa3341289f890f4cf5b1",
        "1f086caef338052996f4cfa892d78d7dab1d72061e0d48340519e9f37f894874b51c9d1930a79e874cc0648baf6affa4",
        "560b7acca0fd15ea788a6b619382b38d2d3e6873dca60d44a25e652fc6ff1521d1482f6d157458ff38c8ebf65d6f0426",
        "009d9904b79e7def4769bea22173e993",
    );

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }

    /// A byte string of CBOR with a length of two bytes.
    fn string(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0x59][..], &length, bytes].concat()
    }

    fn check(key: &[u8], signature: &[u8]) {
        let key = PublicKey::read(key).unwrap();
        assert!(key.verifies(MESSAGE, signature));
        assert!(!key.verifies(b"something else", signature));
        let mut wrong = signature.to_vec();
        wrong[signature.len() / 2] ^= 1;
        assert!(!key.verifies(MESSAGE, &wrong));
        assert!(!key.verifies(MESSAGE, &[]));
    }

    #[test]
    fn keys_of_the_three_kinds_verify_what_they_signed_and_nothing_else() {
        let rsa = [
            &[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20][..],
            &string(&bytes(MODULUS)),
            &[0x21, 0x43, 1, 0, 1],
        ];
        check(&rsa.concat(), &bytes(SIGNATURE));

        let random = SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let point = string(pair.public_key().as_ref());
        let key = [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21][..], &point].concat();
        check(&key, pair.sign(MESSAGE).as_ref());

        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let key = [
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21][..],
            &string(x),
            &[0x22],
            &string(y),
        ];
        let key = key.concat();
        let signature = pair.sign(&random, MESSAGE).unwrap();
        check(&key, signature.as_ref());
        for length in 0..key.len() {
            assert!(PublicKey::read(&key[..length]).is_none(), "{length}");
        }
        // A kind that goes with another algorithm, another curve, and a point that is too short.
        for (at, byte) in [(2, 1), (4, 0x27), (6, 2)] {
            let mut wrong = key.clone();
            wrong[at] = byte;
            assert!(PublicKey::read(&wrong).is_none(), "{at}");
        }
        let short = [
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21][..],
            &string(&x[1..]),
        ]
        .concat();
        let short = [short.as_slice(), &[0x22], &string(y)].concat();
        assert!(PublicKey::read(&short).is_none());
    }

    #[test]
    fn an_rsa_key_that_anybody_could_break_is_none() {
        for length in [0, 64, 128, 255, 1025] {
            let key = [
                &[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20][..],
                &string(&vec![0xff; length]),
                &[0x21, 0x43, 1, 0, 1],
            ];
            assert!(PublicKey::read(&key.concat()).is_none(), "{length}");
        }
    }
}
