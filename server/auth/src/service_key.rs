//! Service keys: long-lived credentials of programs, for everything or for what their scopes name, for ever or until a day.
//!
//! A key is `ak_ID_SECRET`. The document `_keys/ID` holds the name, the scopes, the end and a SHA-256 hash of the secret,
//! which has 256 bits of its own, so no slow hash is needed; `_key_names/NAME` makes the name unique. The key itself is
//! shown once and stored nowhere. When a key was last used stands in memory first and from time to time in
//! `_key_uses/ID`: a request costs no write, and a crash forgets the uses of an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andiron_engine::{Caller, Engine, KeyHolder, Scopes, StoredDocument};
use andiron_protocol::{CollectionPath, DocumentPath, InputError, Source, Timestamp, Version};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::audit::{Event, add_event};
use crate::records::{Batch, Record, existing, list, read, record_path};
use crate::{AuthError, ClientInfo, SecretText, secret};

const KEYS: &str = "_keys";
const KEY_NAMES: &str = "_key_names";
const KEY_USES: &str = "_key_uses";
/// What every key begins with.
const PREFIX: &str = "ak_";
const SECRET_BYTES: usize = 32;
/// Characters of a key's name.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a token that is looked at; a key is much shorter.
const TOKEN_CHARS_MAX: usize = 128;
/// Keys that a server may have.
pub(crate) const KEYS_MAX: u32 = 1000;
/// Uses that are noted in one commit.
const USES_BATCH_MAX: usize = 400;

/// The service keys of one engine.
#[derive(Clone)]
pub struct ServiceKeys {
    engine: Engine,
    /// What the documents of keys in use say, by id, so that a request need not read them anew. Never more than there
    /// are keys, and each only good for the version of the document that it was read from.
    read: Arc<RwLock<HashMap<String, Arc<ReadKey>>>>,
}

struct ReadKey {
    path: DocumentPath,
    version: Version,
    hash: [u8; 32],
    caller: Caller,
    expires: Option<Timestamp>,
    /// When it last verified, in microseconds, and what of that is noted; 0: never.
    used: AtomicI64,
    noted: AtomicI64,
}

/// A key as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeyRecord {
    name: String,
    hash: String,
    /// None: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

/// Whose a name is.
#[derive(Serialize, Deserialize)]
struct NameRecord {
    key: String,
}

/// When a key was last used.
#[derive(Serialize, Deserialize)]
struct UseRecord {
    used: Timestamp,
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
    /// What it may do, by name; empty: everything.
    pub scopes: Vec<String>,
    /// When it ends, or ended.
    pub expires: Option<Timestamp>,
    /// When it was last used, if ever.
    pub last_used: Option<Timestamp>,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`, and unique.
    pub name: String,
    /// What it may do; `None`: everything.
    pub scopes: Option<Scopes>,
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
}

impl NewKey {
    /// A key for everything, without an end.
    pub fn for_everything(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            scopes: None,
            expires: None,
        }
    }
}

/// A key just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedKey {
    /// What will be listed.
    pub service_key: ServiceKey,
    /// The key itself: this is the only time that it can be seen.
    pub key: SecretText,
}

/// A key of somebody who stays connected.
#[derive(Clone, Debug)]
pub struct LastingKey {
    /// Who calls.
    pub caller: Caller,
    /// When the key ends, if it does.
    pub expires: Option<Timestamp>,
    /// Its document, which is gone once the key is revoked.
    pub rests_on: DocumentPath,
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
    /// [`AuthError::KeyExpired`] for a key that has ended, [`AuthError::Unauthenticated`] for whatever else is not a key
    /// in force, whyever; else if the engine cannot read.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        Ok(self.verified(token)?.1.caller.clone())
    }

    /// The same for somebody who stays: says besides until when the key holds and which document has to be watched.
    ///
    /// # Errors
    /// As [`ServiceKeys::verify`].
    pub fn verify_lasting(&self, token: &str) -> Result<LastingKey, AuthError> {
        let (path, key) = self.verified(token)?;
        Ok(LastingKey {
            caller: key.caller.clone(),
            expires: key.expires,
            rests_on: path,
        })
    }

    fn verified(&self, token: &str) -> Result<(DocumentPath, Arc<ReadKey>), AuthError> {
        let (id, secret) = split_token(token).ok_or(AuthError::Unauthenticated)?;
        let known = self.read.read().get(id).cloned();
        let path = match &known {
            Some(key) => key.path.clone(),
            None => record_path(KEYS, id).map_err(|_| AuthError::Unauthenticated)?,
        };
        let document = self
            .engine
            .get(&Caller::System, &path)?
            .ok_or(AuthError::Unauthenticated)?;
        let key = match known {
            Some(key) if key.version == document.version => key,
            _ => self.read_key(id, document)?,
        };
        // Both sides are hashes, so how long the comparison takes tells nothing about the secret.
        if key.hash != <[u8; 32]>::from(Sha256::digest(secret)) {
            return Err(AuthError::Unauthenticated);
        }
        let now = self.engine.now();
        if key.expires.is_some_and(|expires| expires <= now) {
            return Err(AuthError::KeyExpired);
        }
        key.used.store(now.as_micros(), Ordering::Relaxed);
        Ok((path, key))
    }

    /// Reads what a key's document says, and remembers it for this version of the document.
    fn read_key(&self, id: &str, document: StoredDocument) -> Result<Arc<ReadKey>, AuthError> {
        let (version, path) = (document.version, document.path.clone());
        let record: KeyRecord = Record::of(document)?.data;
        let key = Arc::new(ReadKey {
            path,
            version,
            hash: from_hex(&record.hash).ok_or(AuthError::Unauthenticated)?,
            caller: Caller::ServiceKey(Arc::new(KeyHolder {
                id: id.to_owned(),
                scopes: record.granted()?,
            })),
            expires: record.expires,
            used: AtomicI64::new(0),
            noted: AtomicI64::new(0),
        });
        let mut known = self.read.write();
        if known.len() >= KEYS_MAX as usize {
            // Keys that have been revoked are not told apart; those in use are soon read again.
            known.retain(|_, key| key.unnoted().is_some());
        }
        known.insert(id.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    /// Makes a key.
    ///
    /// # Errors
    /// If the caller may not make keys, the name cannot be one or is taken, the end is not to come, or the engine cannot
    /// write.
    pub async fn create(
        &self,
        new: NewKey,
        caller: &Caller,
        client: &ClientInfo,
    ) -> Result<CreatedKey, AuthError> {
        crate::roles::check_owner(caller)?;
        check_name(&new.name)?;
        if new.expires.is_some_and(|expires| expires <= self.engine.now()) {
            return Err(AuthError::input("expiresAt", "a key ends at a time to come"));
        }
        if self.list().await?.len() >= KEYS_MAX as usize {
            return Err(AuthError::TooManyKeys);
        }
        let secret = secret::random::<SECRET_BYTES>(&self.engine);
        let id = self.engine.generate_id();
        let record = KeyRecord {
            name: new.name,
            hash: secret::hash(&secret),
            scopes: new.scopes.iter().flat_map(Scopes::names).collect(),
            expires: new.expires,
        };
        let mut batch = Batch::default();
        let name_path = record_path(KEY_NAMES, &record.name)?;
        batch.create(name_path, &NameRecord { key: id.clone() })?;
        batch.create(record_path(KEYS, &id)?, &record)?;
        let event = about_key("key-created", caller, client);
        let rights = match record.scopes.as_slice() {
            [] => "everything".to_owned(),
            scopes => scopes.join(" "),
        };
        let detail = format!("{} {rights}", record.name);
        add_event(&self.engine, &mut batch, event.detail(detail))?;
        match batch.commit(&self.engine).await {
            Ok(version) => Ok(CreatedKey {
                key: SecretText::new(format!("{PREFIX}{id}_{secret}")),
                service_key: record.listed(id, version.to_timestamp(), None),
            }),
            Err(error) if existing(&error).is_some() => Err(AuthError::NameTaken { name: record.name }),
            Err(error) => Err(error.into()),
        }
    }

    /// Every key that has not been revoked, oldest first; those that have ended too.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn list(&self) -> Result<Vec<ServiceKey>, AuthError> {
        let all = |name: &str| Ok::<_, AuthError>(Source::Collection(name.parse::<CollectionPath>()?));
        let keys: Vec<Record<KeyRecord>> = list(&self.engine, all(KEYS)?, None).await?;
        let noted: Vec<Record<UseRecord>> = list(&self.engine, all(KEY_USES)?, None).await?;
        let noted: HashMap<_, _> = noted
            .iter()
            .map(|record| (record.path.id(), record.data.used))
            .collect();
        let known = self.read.read();
        let listed = keys.into_iter().map(|record| {
            let id = record.path.id().to_owned();
            let used = known.get(&id).and_then(|key| key.used());
            let last_used = used.max(noted.get(id.as_str()).copied());
            record.data.listed(id, record.created, last_used)
        });
        Ok(listed.collect())
    }

    /// Ends a key at once, named by its name or its id, and says which it was.
    ///
    /// # Errors
    /// If the caller may not, there is no such key, or the engine cannot write.
    pub async fn revoke(
        &self,
        name_or_id: &str,
        caller: &Caller,
        client: &ClientInfo,
    ) -> Result<ServiceKey, AuthError> {
        crate::roles::check_owner(caller)?;
        let keys = self.list().await?;
        let key = keys
            .iter()
            .find(|key| key.name == name_or_id)
            .or_else(|| keys.iter().find(|key| key.id == name_or_id))
            .ok_or_else(|| AuthError::NoSuchKey {
                name: name_or_id.to_owned(),
            })?;
        let mut batch = Batch::default();
        batch.delete(record_path(KEYS, &key.id)?);
        batch.delete(record_path(KEY_NAMES, &key.name)?);
        batch.delete(record_path(KEY_USES, &key.id)?);
        let event = about_key("key-revoked", caller, client);
        add_event(&self.engine, &mut batch, event.detail(key.name.clone()))?;
        batch.commit(&self.engine).await?;
        Ok(key.clone())
    }

    /// Whether there is no key at all.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn is_empty(&self) -> Result<bool, AuthError> {
        Ok(self.list().await?.is_empty())
    }

    /// Writes down when keys were used. To be called every hour or so, and at the end.
    ///
    /// # Errors
    /// If the engine cannot read or write.
    pub async fn note_uses(&self) -> Result<(), AuthError> {
        let unnoted: Vec<_> = {
            let known = self.read.read();
            let unnoted =
                |(id, key): (&String, &Arc<ReadKey>)| Some((id.clone(), Arc::clone(key), key.unnoted()?));
            known.iter().filter_map(unnoted).collect()
        };
        for some in unnoted.chunks(USES_BATCH_MAX) {
            let mut batch = Batch::default();
            for (id, key, used) in some {
                // One that was revoked since leaves nothing behind.
                let record: Option<Record<KeyRecord>> = read(&self.engine, &record_path(KEYS, id)?)?;
                if record.is_some() {
                    batch.set(record_path(KEY_USES, id)?, &UseRecord { used: *used })?;
                }
                key.noted.store(used.as_micros(), Ordering::Relaxed);
            }
            if !batch.is_empty() {
                batch.commit(&self.engine).await?;
            }
        }
        Ok(())
    }
}

impl ReadKey {
    fn used(&self) -> Option<Timestamp> {
        let used = self.used.load(Ordering::Relaxed);
        (used > 0).then(|| Timestamp::from_micros_clamped(used))
    }

    /// When it was last used, unless that is written down.
    fn unnoted(&self) -> Option<Timestamp> {
        self.used()
            .filter(|used| used.as_micros() > self.noted.load(Ordering::Relaxed))
    }
}

impl KeyRecord {
    /// What it may do; `None`: everything.
    fn granted(&self) -> Result<Option<Scopes>, AuthError> {
        if self.scopes.is_empty() {
            return Ok(None);
        }
        // A scope that this program does not know grants nothing, and a key that has one may be meant for less than the
        // others say: it is none.
        let scopes = Scopes::parse(&self.scopes).map_err(|_| AuthError::Unauthenticated)?;
        Ok((!scopes.are_everything()).then_some(scopes))
    }

    fn listed(self, id: String, created: Timestamp, last_used: Option<Timestamp>) -> ServiceKey {
        ServiceKey {
            id,
            name: self.name,
            created,
            scopes: self.scopes,
            expires: self.expires,
            last_used,
        }
    }
}

fn about_key<'e>(event: &'static str, caller: &Caller, client: &'e ClientInfo) -> Event<'e> {
    Event {
        uid: None,
        ..Event::new(event, "", client)
    }
    .by(caller)
}

fn split_token(token: &str) -> Option<(&str, &str)> {
    if token.len() > TOKEN_CHARS_MAX {
        return None;
    }
    token.strip_prefix(PREFIX)?.split_once('_')
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
