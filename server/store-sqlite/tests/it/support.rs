//! Short ways to write and read documents.

use std::path::Path;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Version};
use andiron_store::{
    Commit, CommitOutcome, DocumentWrite, Group, Snapshot, Store, StoreError, StoredDocument,
};
use andiron_store_sqlite::{SqliteOptions, SqliteStore};

pub(crate) fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, SqliteOptions::default()).unwrap()
}

pub(crate) fn path(text: &str) -> DocumentPath {
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

/// Reproducible random numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}
