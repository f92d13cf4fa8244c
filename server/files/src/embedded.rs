//! The bytes of small files, which lie in documents: the commit that publishes a file makes its bytes last too, so that many
//! uploads at once share one sync of the disk, and reading one is a look into the cache of documents.
//!
//! A key says by its form where its bytes are. Bytes in a document come and go with the commits that name them: there is
//! nothing of them to collect that no document knows.

use andiron_engine::Caller;
use andiron_protocol::{
    CollectionPath, DocumentPath, Map, Precondition, Value, Version, Write, WriteKind, data_from_json,
};
use bytes::Bytes;

use crate::{Files, FilesError};

/// The collection of bytes, by their keys.
const BYTES: &str = "_file_bytes";
/// What keys of bytes in documents begin with. No other does: those are generated, of letters and digits.
const PREFIX: &str = "e-";

/// The key of bytes that lie in a document.
pub(crate) fn embedded_key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Whether the bytes of a key lie in a document.
pub(crate) fn is_embedded(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// Stands between a key of bytes in a document and the version at which they were there.
const PAST: char = '@';

/// The key under which bytes are read as they were at a version.
pub(crate) fn past_key(key: &str, version: Version) -> String {
    if is_embedded(key) {
        format!("{key}{PAST}{version}")
    } else {
        // Bytes outside documents are kept under their keys for as long as the past is.
        key.to_owned()
    }
}

/// The write that puts bytes under a key.
pub(crate) fn embed(key: &str, bytes: Vec<u8>) -> Result<Write, FilesError> {
    debug_assert!(is_embedded(key));
    let map = Map::from([("bytes".to_owned(), Value::Bytes(bytes))]);
    Ok(Write {
        path: path_of(key)?,
        // Not looked for in the store: the key is fresh.
        kind: WriteKind::Create(map.into()),
        precondition: Precondition::None,
    })
}

fn path_of(key: &str) -> Result<DocumentPath, FilesError> {
    Ok(BYTES.parse::<CollectionPath>()?.document(key)?)
}

impl Files {
    /// The bytes of a key that is in a document.
    pub(crate) fn embedded(&self, key: &str) -> Result<Bytes, FilesError> {
        let (key, version) = match key.split_once(PAST) {
            Some((key, version)) => (key, Some(version.parse::<Version>()?)),
            None => (key, None),
        };
        let path = path_of(key)?;
        let damaged = || FilesError::Internal(format!("the bytes `{path}` cannot be read"));
        let document = match version {
            None => self.engine().get(&Caller::System, &path)?,
            Some(version) => self.engine().get_at(&Caller::System, &path, version)?,
        }
        .ok_or_else(damaged)?;
        let mut map = data_from_json(document.data.as_bytes()).map_err(|_| damaged())?;
        match map.remove("bytes") {
            Some(Value::Bytes(bytes)) => Ok(bytes.into()),
            _ => Err(damaged()),
        }
    }

    /// Removes the bytes of a key, or gives the write that does.
    pub(crate) async fn remove_bytes(&self, key: &str) -> Result<Option<Write>, FilesError> {
        if !is_embedded(key) {
            self.blobs().delete(key).await?;
            return Ok(None);
        }
        Ok(Some(Write {
            path: path_of(key)?,
            kind: WriteKind::Delete,
            precondition: Precondition::None,
        }))
    }
}
