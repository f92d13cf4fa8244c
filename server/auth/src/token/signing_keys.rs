//! The keys that sign tokens: documents of `_signing_keys`, so that a backup has them and every node the same.
//!
//! They lie in the data folder, which is its owner's alone, beside the accounts that they speak for: a file of their own
//! would be no better guarded, and a restored backup would have lost them. The first key is made when the first token
//! is. A new one signs from the moment it exists; older ones verify until every token that they signed has expired.

use std::collections::HashMap;
use std::time::Duration;

use andiron_engine::Engine;
use andiron_protocol::{CollectionPath, Source, Timestamp};
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::jwt::{self, Kind, TokenError, Unverified};
use crate::AuthError;
use crate::records::{Batch, Record, existing, list, read, record_path};

const SIGNING_KEYS: &str = "_signing_keys";
/// The document that says which key signs, so that of two nodes that make the first key one wins.
const CURRENT: &str = "_signing_keys/current";
const SEED_BYTES: usize = 32;
/// How long a key verifies after another has taken over: longer than any token that it signed holds.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// A key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyRecord {
    /// 32 bytes, in base64.
    seed: String,
    created: Timestamp,
    /// Until when it verifies; none while it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

#[derive(Clone, Serialize, Deserialize)]
struct CurrentRecord {
    kid: String,
}

/// A public key as `/.well-known/jwks.json` shows it (RFC 8037).
#[derive(Clone, Debug, Serialize)]
pub struct JsonWebKey {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    x: String,
}

/// A signing key as administrators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyInfo {
    /// Its id.
    pub kid: String,
    /// When it was made.
    pub create_time: Timestamp,
    /// Until when it verifies; none while it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The keys, as of the last look.
pub(crate) struct SigningKeys {
    engine: Engine,
    ring: ArcSwap<KeyRing>,
}

#[derive(Default)]
struct KeyRing {
    /// The id of the key that signs.
    current: Option<String>,
    keys: HashMap<String, Arc<Key>>,
}

struct Key {
    pair: Ed25519KeyPair,
    created: Timestamp,
    until: Option<Timestamp>,
}

impl Key {
    fn verifies_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl SigningKeys {
    /// The keys that stand in the store, which may be none yet.
    pub(crate) async fn open(engine: Engine) -> Result<Self, AuthError> {
        let keys = Self {
            engine,
            ring: ArcSwap::default(),
        };
        keys.load().await?;
        Ok(keys)
    }

    async fn load(&self) -> Result<(), AuthError> {
        let current: Option<Record<CurrentRecord>> = read(&self.engine, &CURRENT.parse()?)?;
        let mut ring = KeyRing {
            current: current.map(|record| record.data.kid),
            keys: HashMap::new(),
        };
        let from = Source::Collection(SIGNING_KEYS.parse::<CollectionPath>()?);
        let records: Vec<Record<serde_json::Value>> = list(&self.engine, from, None).await?;
        for record in records {
            // What is no key is the note of which is current.
            if let Ok(key) = serde_json::from_value::<KeyRecord>(record.data) {
                ring.keys
                    .insert(record.path.id().to_owned(), Arc::new(key_of(&key)?));
            }
        }
        self.ring.store(Arc::new(ring));
        Ok(())
    }

    /// Makes sure that there is a key to sign with.
    pub(crate) async fn ensure(&self) -> Result<(), AuthError> {
        if self.ring.load().current.is_some() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let kid = self.add_new(&mut batch)?;
        batch.create(CURRENT.parse()?, &CurrentRecord { kid })?;
        match batch.commit(&self.engine).await {
            Ok(_) => {}
            // Somebody else made the first.
            Err(error) if existing(&error).is_some() => {}
            Err(error) => return Err(error.into()),
        }
        self.load().await
    }

    /// Makes a new key that signs from now on, and drops those that verify nothing any more. Gives the new key's id.
    pub(crate) async fn rotate(&self) -> Result<String, AuthError> {
        let now = self.engine.now();
        let until = after(now, OVERLAP);
        let mut batch = Batch::default();
        let kid = self.add_new(&mut batch)?;
        let from = Source::Collection(SIGNING_KEYS.parse::<CollectionPath>()?);
        let records: Vec<Record<serde_json::Value>> = list(&self.engine, from, None).await?;
        for record in records {
            let Ok(mut key) = serde_json::from_value::<KeyRecord>(record.data.clone()) else {
                continue;
            };
            match key.until {
                None => {
                    key.until = Some(until);
                    batch.replace(&record, &key)?;
                }
                Some(until) if until <= now => batch.consume(&record),
                Some(_) => {}
            }
        }
        batch.set(CURRENT.parse()?, &CurrentRecord { kid: kid.clone() })?;
        batch.commit(&self.engine).await?;
        self.load().await?;
        Ok(kid)
    }

    /// Whether the key that signs is older than it may become.
    pub(crate) fn is_due(&self, age_max: Duration) -> bool {
        let ring = self.ring.load();
        let current = ring.current.as_ref().and_then(|kid| ring.keys.get(kid));
        current.is_some_and(|key| after(key.created, age_max) <= self.engine.now())
    }

    fn add_new(&self, batch: &mut Batch) -> Result<String, AuthError> {
        let mut seed = [0; SEED_BYTES];
        self.engine.fill_random(&mut seed);
        let kid = self.engine.generate_id();
        let key = KeyRecord {
            seed: URL_SAFE_NO_PAD.encode(seed),
            created: self.engine.now(),
            until: None,
        };
        batch.create(record_path(SIGNING_KEYS, &kid)?, &key)?;
        Ok(kid)
    }

    /// A token over claims. There must be a key: see [`SigningKeys::ensure`].
    pub(crate) fn sign(&self, kind: Kind, claims: &[u8]) -> Result<String, AuthError> {
        let ring = self.ring.load();
        let current = ring.current.as_ref().and_then(|kid| ring.keys.get_key_value(kid));
        let (kid, key) =
            current.ok_or_else(|| AuthError::Internal("there is no key to sign tokens with".to_owned()))?;
        Ok(jwt::write(kind, kid, claims, |bytes| {
            key.pair.sign(bytes).as_ref().to_vec()
        }))
    }

    /// The claims of a token whose signature is that of one of our keys in force.
    pub(crate) fn verify(&self, kind: Kind, token: &str) -> Result<Vec<u8>, TokenError> {
        let unverified = Unverified::parse(token, kind)?;
        let key = self.key(&unverified.kid).ok_or(TokenError)?;
        if !key.verifies_at(self.engine.now()) {
            return Err(TokenError);
        }
        UnparsedPublicKey::new(&ED25519, key.pair.public_key().as_ref())
            .verify(unverified.signed.as_bytes(), &unverified.signature)
            .map_err(|_| TokenError)?;
        unverified.payload()
    }

    /// A key by its id: from memory, or from the store if another node has made it since.
    fn key(&self, kid: &str) -> Option<Arc<Key>> {
        if let Some(key) = self.ring.load().keys.get(kid) {
            return Some(Arc::clone(key));
        }
        let path = record_path(SIGNING_KEYS, kid).ok()?;
        let record: Record<KeyRecord> = read(&self.engine, &path).ok()??;
        let key = Arc::new(key_of(&record.data).ok()?);
        self.ring.rcu(|ring| KeyRing {
            current: ring.current.clone(),
            keys: ring
                .keys
                .iter()
                .map(|(kid, key)| (kid.clone(), Arc::clone(key)))
                .chain([(kid.to_owned(), Arc::clone(&key))])
                .collect(),
        });
        Some(key)
    }

    /// The public keys that verify tokens in force.
    pub(crate) fn public(&self) -> Vec<JsonWebKey> {
        self.in_force(|kid, key| JsonWebKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            r#use: "sig",
            kid: kid.to_owned(),
            x: URL_SAFE_NO_PAD.encode(key.pair.public_key()),
        })
    }

    /// The keys as administrators see them, newest first.
    pub(crate) fn info(&self) -> Vec<SigningKeyInfo> {
        self.in_force(|kid, key| SigningKeyInfo {
            kid: kid.to_owned(),
            create_time: key.created,
            until: key.until,
        })
    }

    fn in_force<T>(&self, show: impl Fn(&str, &Key) -> T) -> Vec<T> {
        let (ring, now) = (self.ring.load(), self.engine.now());
        let mut keys: Vec<_> = ring.keys.iter().filter(|(_, key)| key.verifies_at(now)).collect();
        // Ids order by time.
        keys.sort_by(|(left, _), (right, _)| right.cmp(left));
        keys.into_iter().map(|(kid, key)| show(kid, key)).collect()
    }
}

fn key_of(record: &KeyRecord) -> Result<Key, AuthError> {
    let seed = URL_SAFE_NO_PAD.decode(&record.seed).ok();
    let pair = seed.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
    Ok(Key {
        pair: pair.ok_or_else(|| AuthError::Internal("a signing key cannot be read".to_owned()))?,
        created: record.created,
        until: record.until,
    })
}

/// A moment so much later.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros_clamped(time.as_micros().saturating_add(micros))
}
