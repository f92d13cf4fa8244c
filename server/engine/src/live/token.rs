//! Resume tokens: the version that a client has, and a digest of what it listens to and as whom.
//!
//! The digest is keyed by a secret of the data folder, so that a token of another server, query or caller, or from before
//! the rules demanded something else, is recognised as such. The version needs no seal: who changes it is told what has
//! changed since another moment in a result that it may see anyway. A version that never was one of this log, as after a
//! restore, is recognised by the log.

use std::fmt;
use std::sync::Arc;

use andiron_protocol::{
    CommitBody, DocumentPath, Filter, Map, Precondition, Value, Version, Write, WriteData, WriteKind,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::view::LiveTarget;
use crate::commit::{commit_blocking, stored_data};
use crate::committer::Committer;
use crate::engine::Shared;
use crate::{Caller, EngineError};

/// The first byte: what follows is of this form.
const FORMAT: u8 = 1;
/// Bytes of a digest.
const DIGEST_BYTES: usize = 16;
/// The document that holds the secret, and its field.
const SECRET_PATH: &str = "_live/tokens";
const SECRET_FIELD: &str = "secret";
const SECRET_BYTES: usize = 32;

/// What tells one listen from another.
pub(super) type ListenDigest = [u8; DIGEST_BYTES];

/// Continues a listen where it was left. As text it is opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeToken {
    pub(super) version: Version,
    pub(super) digest: ListenDigest,
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 1 + 8 + DIGEST_BYTES];
        bytes[0] = FORMAT;
        bytes[1..9].copy_from_slice(&self.version.as_micros().to_be_bytes());
        bytes[9..].copy_from_slice(&self.digest);
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl ResumeToken {
    /// Reads a token; whatever is none says nothing.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > 2 * (1 + 8 + DIGEST_BYTES) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&FORMAT, rest) = bytes.split_first()? else {
            return None;
        };
        let (version, digest) = rest.split_first_chunk::<8>()?;
        let version = i64::from_be_bytes(*version);
        Some(Self {
            version: (version >= 0).then(|| Version::from_micros(version))?,
            digest: digest.try_into().ok()?,
        })
    }
}

/// The digest of what a caller listens to, under what the rules demand of it.
pub(super) fn digest(
    secret: &[u8],
    caller: &Caller,
    target: &LiveTarget,
    demanded: Option<&Filter>,
    judges_documents: bool,
) -> ListenDigest {
    let target = match target {
        LiveTarget::Query(query) => serde_json::to_vec(&(0, &**query)),
        LiveTarget::Document(path) => serde_json::to_vec(&(1, path.as_str())),
    };
    let demanded = serde_json::to_vec(&(demanded, judges_documents));
    let mut hasher = Sha256::new();
    for part in [
        secret,
        caller.identity().as_bytes(),
        &target.expect("writing to memory does not fail"),
        &demanded.expect("writing to memory does not fail"),
    ] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut digest = ListenDigest::default();
    digest.copy_from_slice(&hasher.finalize()[..DIGEST_BYTES]);
    digest
}

/// The secret of the data folder, made when it is first asked for.
pub(super) fn secret(shared: &Arc<Shared>, committer: &Committer) -> Result<Vec<u8>, EngineError> {
    // Held while it is made: a document that another thread has made is not there to be read before its commit is durable.
    let mut known = shared.live.secret.lock();
    if let Some(secret) = &*known {
        return Ok(secret.clone());
    }
    let secret = make_secret(shared, committer)?;
    *known = Some(secret.clone());
    Ok(secret)
}

fn make_secret(shared: &Arc<Shared>, committer: &Committer) -> Result<Vec<u8>, EngineError> {
    let path: DocumentPath = SECRET_PATH.parse()?;
    if let Some(secret) = stored_secret(shared, &path)? {
        return Ok(secret);
    }
    let mut secret = vec![0; SECRET_BYTES];
    (shared.surroundings.random)(&mut secret);
    let data = Map::from([(SECRET_FIELD.to_owned(), Value::Bytes(secret.clone()))]);
    let body = CommitBody {
        writes: vec![Write {
            path: path.clone(),
            kind: WriteKind::Create(WriteData::from(data)),
            precondition: Precondition::None,
        }],
        ..CommitBody::default()
    };
    commit_blocking(shared, committer, body)?;
    Ok(secret)
}

fn stored_secret(shared: &Shared, path: &DocumentPath) -> Result<Option<Vec<u8>>, EngineError> {
    let Some(document) = shared.get(path)? else {
        return Ok(None);
    };
    match stored_data(&document)?.remove(SECRET_FIELD) {
        Some(Value::Bytes(secret)) => Ok(Some(secret)),
        _ => Ok(None),
    }
}
