//! An authenticator in software, which can also say what no good one says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const RP_ID: &str = "app.example";
pub(crate) const ORIGIN: &str = "https://app.example";

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
pub(crate) const BACKUP_ELIGIBLE: u8 = 1 << 3;
pub(crate) const BACKED_UP: u8 = 1 << 4;
const HAS_KEY: u8 = 1 << 6;

enum Key {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A passkey that it keeps.
pub(crate) struct Passkey {
    pub(crate) id: Vec<u8>,
    pub(crate) handle: String,
    pub(crate) count: u32,
    key: Key,
}

/// How a ceremony is done; the default is how it should be.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) origin: &'static str,
    pub(crate) rp_id: &'static str,
    pub(crate) flags: u8,
    pub(crate) kind: Option<&'static str>,
    pub(crate) challenge: Option<String>,
    pub(crate) cross_origin: bool,
    /// Bytes after the authenticator's data.
    pub(crate) trailing: &'static [u8],
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            origin: ORIGIN,
            rp_id: RP_ID,
            flags: USER_PRESENT | USER_VERIFIED,
            kind: None,
            challenge: None,
            cross_origin: false,
            trailing: &[],
        }
    }
}

impl Manner {
    /// As a security key does that nobody has to unlock.
    pub(crate) fn unverified() -> Self {
        Self {
            flags: USER_PRESENT,
            ..Self::default()
        }
    }

    /// Without anybody there.
    pub(crate) fn absent() -> Self {
        Self {
            flags: USER_VERIFIED,
            ..Self::default()
        }
    }

    pub(crate) fn and(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = match &self.challenge {
            Some(challenge) => challenge.as_str(),
            None => options["challenge"].as_str().unwrap(),
        };
        let data = json!({
            "type": self.kind.unwrap_or(kind),
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8, count: u32, key: &[u8]) -> Vec<u8> {
        let hash = Sha256::digest(self.rp_id);
        [
            hash.as_slice(),
            &[self.flags | flags],
            &count.to_be_bytes(),
            key,
            self.trailing,
        ]
        .concat()
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a CBOR value of a kind and a length begins with.
fn cbor(kind: u8, length: usize) -> Vec<u8> {
    match u16::try_from(length).unwrap() {
        short @ 0..=23 => vec![kind << 5 | u8::try_from(short).unwrap()],
        long => [&[kind << 5 | 25][..], &long.to_be_bytes()].concat(),
    }
}

fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    [cbor(2, bytes.len()), bytes.to_vec()].concat()
}

fn cbor_text(text: &str) -> Vec<u8> {
    [cbor(3, text.len()), text.as_bytes().to_vec()].concat()
}

impl Passkey {
    /// Makes one with a key of ES256, as most are.
    pub(crate) fn make(options: &Value, manner: &Manner) -> (Self, Value) {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random);
        Self::make_with(Key::Es256(key.unwrap()), options, manner)
    }

    /// Makes one with a key of Ed25519.
    pub(crate) fn make_ed25519(options: &Value, manner: &Manner) -> (Self, Value) {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self::make_with(Key::Ed25519(key), options, manner)
    }

    fn make_with(key: Key, options: &Value, manner: &Manner) -> (Self, Value) {
        let mut id = vec![0; 32];
        SystemRandom::new().fill(&mut id).unwrap();
        let passkey = Self {
            id,
            handle: options["user"]["id"].as_str().unwrap().to_owned(),
            count: 0,
            key,
        };
        let made = passkey.registration(options, manner);
        (passkey, made)
    }

    /// What it says when it is made.
    pub(crate) fn registration(&self, options: &Value, manner: &Manner) -> Value {
        let credential = [
            vec![0; 16],
            u16::try_from(self.id.len()).unwrap().to_be_bytes().to_vec(),
            self.id.clone(),
            self.public_key(),
        ]
        .concat();
        let data = manner.authenticator_data(HAS_KEY, self.count, &credential);
        let object = [
            cbor(5, 3),
            cbor_text("fmt"),
            cbor_text("none"),
            cbor_text("attStmt"),
            cbor(5, 0),
            cbor_text("authData"),
            cbor_bytes(&data),
        ]
        .concat();
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&manner.client_data("webauthn.create", options)),
                "attestationObject": encode(&object),
                "transports": ["internal", "hybrid"],
            },
        })
    }

    fn public_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                let head = [cbor(5, 5), vec![0x01, 0x02, 0x03, 0x26, 0x20, 0x01]].concat();
                let (x, y) = point[1..].split_at(32);
                [head, vec![0x21], cbor_bytes(x), vec![0x22], cbor_bytes(y)].concat()
            }
            Key::Ed25519(key) => {
                let head = [cbor(5, 4), vec![0x01, 0x01, 0x03, 0x27, 0x20, 0x06]].concat();
                [head, vec![0x21], cbor_bytes(key.public_key().as_ref())].concat()
            }
        }
    }

    /// Uses it, with its counter put forward.
    pub(crate) fn sign(&mut self, options: &Value, manner: &Manner) -> Value {
        self.count += 1;
        self.sign_as_it_is(options, manner)
    }

    /// Uses it with the counter where it is.
    pub(crate) fn sign_as_it_is(&self, options: &Value, manner: &Manner) -> Value {
        let client_data = manner.client_data("webauthn.get", options);
        let data = manner.authenticator_data(0, self.count, &[]);
        let signed = [data.as_slice(), Sha256::digest(&client_data).as_slice()].concat();
        let signature = match &self.key {
            Key::Es256(key) => key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(&signed).as_ref().to_vec(),
        };
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&data),
                "signature": encode(&signature),
                "userHandle": self.handle,
            },
        })
    }
}
