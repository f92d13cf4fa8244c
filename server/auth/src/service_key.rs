//! Service keys: long-lived credentials of programs, passing every rule.
//!
//! A key is `ak_ID_SECRET`. The document `_keys/ID` holds the name and a SHA-256 hash of the secret, which has 256 bits
//! of its own, so no slow hash is needed; `_key_names/NAME` makes the name unique. The key itself is shown once and
//! stored nowhere.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use andiron_engine::{Caller, DocumentSink, Engine, EngineError, QueryOptions, StoredDocument};
use andiron_protocol::{
    ApplyError, CollectionPath, CommitBody, DocumentPath, InputError, Map, Precondition, Query, Source,
    Timestamp, Value, Version, Write, WriteKind, data_from_json,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

use crate::{AuthError, SecretText};

const KEYS: &str = "_keys";
const KEY_NAMES: &str = "_key_names";
/// What every key begins with.
const PREFIX: &str = "ak_";
const SECRET_BYTES: usize = 32;
/// Characters of a key's name.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a token that is looked at; a key is much shorter.
const TOKEN_CHARS_MAX: usize = 128;
/// Keys that a server may have.
pub(crate) const KEYS_MAX: u32 = 1000;

/// The service keys of one engine.
#[derive(Clone)]
pub struct ServiceKeys {
    engine: Engine,
    /// What the documents of keys in use say, by id, so that a request need not read them anew. Never more than there
    /// are keys, and each only good for the version of the document that it was read from.
    read: Arc<RwLock<HashMap<String, ReadKey>>>,
}

struct ReadKey {
    version: Version,
    hash: [u8; 32],
}

/// A key as it is listed: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceKey {
    /// The id, which also stands in the key.
    pub id: String,
    /// The name that its maker gave it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

/// A key just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedKey {
    /// What will be listed.
    pub service_key: ServiceKey,
    /// The key itself: this is the only time that it can be seen.
    pub key: SecretText,
}

impl ServiceKeys {
    /// The keys that stand in this engine's store.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            read: Arc::default(),
        }
    }

    /// Verifies a token and says who calls. Synchronous: a key in use is in the engine's cache.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`] for whatever is not a key in force, whyever; else if the engine cannot read.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let (id, secret) = split_token(token).ok_or(AuthError::Unauthenticated)?;
        let path = document_path(KEYS, id).map_err(|_| AuthError::Unauthenticated)?;
        let document = self
            .engine
            .get(&Caller::System, &path)?
            .ok_or(AuthError::Unauthenticated)?;
        // Both sides are hashes, so how long the comparison takes tells nothing about the secret.
        if self.stored_hash(id, &document)? == <[u8; 32]>::from(Sha256::digest(secret)) {
            Ok(Caller::ServiceKey(id.to_owned()))
        } else {
            Err(AuthError::Unauthenticated)
        }
    }

    /// The document that a key rests on: it is gone once the key is revoked.
    pub fn rests_on(&self, token: &str) -> Option<DocumentPath> {
        let (id, _) = split_token(token)?;
        document_path(KEYS, id).ok()
    }

    /// The hash that a key's document holds.
    fn stored_hash(&self, id: &str, document: &StoredDocument) -> Result<[u8; 32], AuthError> {
        if let Some(known) = self.read.read().get(id)
            && known.version == document.version
        {
            return Ok(known.hash);
        }
        let data = data_from_json(document.data.as_bytes()).map_err(|_| AuthError::Unauthenticated)?;
        let hash = data
            .get("hash")
            .and_then(Value::as_str)
            .and_then(from_hex)
            .ok_or(AuthError::Unauthenticated)?;
        let mut read = self.read.write();
        if read.len() >= KEYS_MAX as usize {
            // Keys that have been revoked are not told apart; those in use are soon read again.
            read.clear();
        }
        let version = document.version;
        read.insert(id.to_owned(), ReadKey { version, hash });
        Ok(hash)
    }

    /// Makes a key. Names are 1 to 64 letters, digits, `.`, `_` and `-`, and unique.
    ///
    /// # Errors
    /// If the name cannot be one or is taken, or the engine cannot write.
    pub async fn create(&self, name: &str) -> Result<CreatedKey, AuthError> {
        check_name(name)?;
        if self.list().await?.len() >= usize::try_from(KEYS_MAX).unwrap_or(usize::MAX) {
            return Err(AuthError::TooManyKeys);
        }
        let mut secret = [0; SECRET_BYTES];
        self.engine.fill_random(&mut secret);
        let secret = URL_SAFE_NO_PAD.encode(secret);
        let id = self.engine.generate_id();
        let key = Map::from([
            ("name".to_owned(), Value::from(name)),
            ("hash".to_owned(), Value::String(to_hex(&Sha256::digest(&secret)))),
        ]);
        let body = CommitBody {
            writes: vec![
                write(
                    document_path(KEY_NAMES, name)?,
                    WriteKind::Create(Map::from([("key".to_owned(), Value::from(id.as_str()))]).into()),
                ),
                write(document_path(KEYS, &id)?, WriteKind::Create(key.into())),
            ],
            ..CommitBody::default()
        };
        match self.engine.commit(&Caller::System, body, None).await {
            Ok(committed) => Ok(CreatedKey {
                key: SecretText::new(format!("{PREFIX}{id}_{secret}")),
                service_key: ServiceKey {
                    id,
                    name: name.to_owned(),
                    created: committed.version.to_timestamp(),
                },
            }),
            Err(EngineError::Apply {
                reason: ApplyError::AlreadyExists,
                ..
            }) => Err(AuthError::NameTaken {
                name: name.to_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Every key in force, oldest first.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn list(&self) -> Result<Vec<ServiceKey>, AuthError> {
        let collection: CollectionPath = KEYS.parse()?;
        let query = Query {
            limit: Some(KEYS_MAX),
            ..Query::all(Source::Collection(collection))
        };
        let (keys, _) = self
            .engine
            .query(
                &Caller::System,
                query,
                QueryOptions::default(),
                KeyList::default(),
            )
            .await?;
        Ok(keys.0)
    }

    /// Ends a key at once, named by its name or its id, and says which it was.
    ///
    /// # Errors
    /// If there is no such key, or the engine cannot write.
    pub async fn revoke(&self, name_or_id: &str) -> Result<ServiceKey, AuthError> {
        let keys = self.list().await?;
        let key = keys
            .iter()
            .find(|key| key.name == name_or_id)
            .or_else(|| keys.iter().find(|key| key.id == name_or_id))
            .ok_or_else(|| AuthError::NoSuchKey {
                name: name_or_id.to_owned(),
            })?;
        let body = CommitBody {
            writes: vec![
                write(document_path(KEYS, &key.id)?, WriteKind::Delete),
                write(document_path(KEY_NAMES, &key.name)?, WriteKind::Delete),
            ],
            ..CommitBody::default()
        };
        self.engine.commit(&Caller::System, body, None).await?;
        Ok(key.clone())
    }

    /// Whether there is a key at all.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn is_empty(&self) -> Result<bool, AuthError> {
        Ok(self.list().await?.is_empty())
    }
}

/// Reads keys out of their documents.
#[derive(Default)]
struct KeyList(Vec<ServiceKey>);

impl DocumentSink for KeyList {
    fn document(&mut self, document: andiron_engine::DocumentRow<'_>) -> ControlFlow<()> {
        let data = data_from_json(document.data.as_bytes()).unwrap_or_default();
        if let Some(name) = data.get("name").and_then(Value::as_str) {
            self.0.push(ServiceKey {
                id: document.id.to_owned(),
                name: name.to_owned(),
                created: document.created.to_timestamp(),
            });
        }
        ControlFlow::Continue(())
    }
}

fn split_token(token: &str) -> Option<(&str, &str)> {
    if token.len() > TOKEN_CHARS_MAX {
        return None;
    }
    token.strip_prefix(PREFIX)?.split_once('_')
}

fn to_hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn check_name(name: &str) -> Result<(), InputError> {
    let is_valid = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && andiron_protocol::check_id(name).is_ok();
    if is_valid {
        return Ok(());
    }
    Err(InputError::new(format!(
        "the name of a key has 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_` and `-`, as in `importer`"
    ))
    .in_field("name"))
}

fn document_path(collection: &str, id: &str) -> Result<DocumentPath, InputError> {
    collection.parse::<CollectionPath>()?.document(id)
}

fn write(path: DocumentPath, kind: WriteKind) -> Write {
    Write {
        path,
        kind,
        precondition: Precondition::None,
    }
}
