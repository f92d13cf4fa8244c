//! Short ways to write and read documents.

use std::path::Path;
use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, Version};
use andiron_store::{
    Commit, CommitOutcome, DocumentWrite, EntryChange, Group, IndexId, Snapshot, Store, StoreError,
    StoredDocument,
};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};

pub(crate) fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, SqliteOptions::default()).unwrap()
}

pub(crate) fn path(text: &str) -> DocumentPath {
    text.parse().unwrap()
}

pub(crate) fn collection(text: &str) -> CollectionPath {
    text.parse().unwrap()
}

pub(crate) fn version(micros: i64) -> Version {
    Version::from_micros(micros)
}

/// The write that makes `text` hold `data` (or nothing), as seen in `snapshot`.
pub(crate) fn write(snapshot: &dyn Snapshot, text: &str, data: Option<&str>) -> DocumentWrite {
    let path = path(text);
    DocumentWrite {
        before: snapshot.get_stored(&path).unwrap(),
        path,
        after: data.map(Arc::from),
        entries: Vec::new(),
    }
}

/// Applies one commit with these documents at a version.
pub(crate) fn apply(
    group: &mut dyn Group,
    at: i64,
    documents: &[(&str, Option<&str>)],
) -> Result<CommitOutcome, StoreError> {
    let writes = documents
        .iter()
        .map(|(path, data)| write(group.snapshot(), path, *data))
        .collect();
    group.apply(
        &Commit {
            writes,
            ..Commit::default()
        },
        version(at),
    )
}

/// Commits these documents in a group of their own at the next version, which it returns.
pub(crate) fn put(store: &dyn Store, documents: &[(&str, Option<&str>)]) -> Result<i64, StoreError> {
    let mut group = store.begin()?;
    let at = group.last_version().as_micros() + 1;
    assert_eq!(apply(&mut *group, at, documents)?, CommitOutcome::Applied);
    group.finish()?;
    Ok(at)
}

pub(crate) fn data(store: &dyn Store, text: &str) -> Option<String> {
    let snapshot = store.snapshot().unwrap();
    let found = snapshot.get_stored(&path(text)).unwrap();
    found.map(|document| document.data.to_string())
}

pub(crate) fn stored(text: &str, at: i64, created: i64, data: &str) -> StoredDocument {
    StoredDocument {
        path: path(text),
        version: version(at),
        created: version(created),
        data: Arc::from(data),
    }
}

pub(crate) fn added(index: IndexId, key: &[u8]) -> EntryChange {
    EntryChange {
        index,
        key: key.to_vec(),
        added: true,
    }
}
