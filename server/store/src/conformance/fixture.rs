//! What the cases are written with.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, Version};

use crate::{
    Commit, CommitOutcome, DocumentWrite, Group, IdRange, IndexDefinition, IndexId, IndexScope, KeyRange,
    LogInfo, ScanDirection, Snapshot, Store, StoredDocument, StoredIndex,
};

pub(super) const EVERYTHING: IdRange<'static> = (Bound::Unbounded, Bound::Unbounded);
pub(super) const ALL_KEYS: KeyRange<'static> = (Bound::Unbounded, Bound::Unbounded);

/// A writing of one document in short: its path and its data afterwards.
pub(super) type Written<'a> = (&'a str, Option<&'a str>);

pub(super) fn at(version: i64) -> Version {
    Version::from_micros(version)
}

pub(super) fn doc(path: &str) -> DocumentPath {
    path.parse().unwrap()
}

pub(super) fn col(path: &str) -> CollectionPath {
    path.parse().unwrap()
}

/// A write as one would prepare it on this snapshot.
pub(super) fn write(snapshot: &dyn Snapshot, (path, after): Written<'_>) -> DocumentWrite {
    DocumentWrite {
        path: doc(path),
        before: get(snapshot, path),
        after: after.map(Arc::from),
        entries: Vec::new(),
    }
}

pub(super) fn commit_of(snapshot: &dyn Snapshot, writes: &[Written<'_>]) -> Commit {
    Commit {
        writes: writes.iter().map(|written| write(snapshot, *written)).collect(),
        ..Commit::default()
    }
}

/// Applies a commit that must not conflict.
pub(super) fn apply(group: &mut dyn Group, version: i64, writes: &[Written<'_>]) {
    let commit = commit_of(group.snapshot(), writes);
    let outcome = group.apply(&commit, at(version)).unwrap();
    assert_eq!(outcome, CommitOutcome::Applied);
}

/// Commits in a group of its own.
pub(super) fn commit(store: &dyn Store, version: i64, writes: &[Written<'_>]) {
    let mut group = store.begin().unwrap();
    apply(&mut *group, version, writes);
    group.finish().unwrap();
}

pub(super) fn get(snapshot: &dyn Snapshot, path: &str) -> Option<StoredDocument> {
    snapshot.get_stored(&doc(path)).unwrap()
}

/// The data of a document, if it is there.
pub(super) fn data_of(snapshot: &dyn Snapshot, path: &str) -> Option<String> {
    get(snapshot, path).map(|document| document.data.to_string())
}

/// The documents of a range, at most `max`, after which the visitor breaks off.
pub(super) fn scan(
    snapshot: &dyn Snapshot,
    collection: &str,
    range: IdRange<'_>,
    direction: ScanDirection,
    max: usize,
) -> Vec<StoredDocument> {
    let mut found = Vec::new();
    snapshot
        .scan_collection(&col(collection), range, direction, &mut |row| {
            assert!(found.len() < max, "the visitor is called after it broke off");
            found.push(row.to_stored().unwrap());
            continue_below(found.len(), max)
        })
        .unwrap();
    found
}

pub(super) fn continue_below(count: usize, max: usize) -> ControlFlow<()> {
    if count < max {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// The ids of all documents of a collection.
pub(super) fn ids(snapshot: &dyn Snapshot, collection: &str) -> Vec<String> {
    scan(
        snapshot,
        collection,
        EVERYTHING,
        ScanDirection::Forward,
        usize::MAX,
    )
    .iter()
    .map(|document| document.path.id().to_owned())
    .collect()
}

pub(super) fn keys(
    snapshot: &dyn Snapshot,
    index: IndexId,
    range: KeyRange<'_>,
    direction: ScanDirection,
    max: usize,
) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    snapshot
        .scan_index_keys(index, range, direction, &mut |key| {
            assert!(found.len() < max, "the visitor is called after it broke off");
            found.push(key.to_vec());
            continue_below(found.len(), max)
        })
        .unwrap();
    found
}

pub(super) fn entries(
    snapshot: &dyn Snapshot,
    index: IndexId,
    range: KeyRange<'_>,
    direction: ScanDirection,
    max: usize,
) -> Vec<Entry> {
    let mut found = Vec::new();
    snapshot
        .scan_index(index, range, direction, &mut |key, row| {
            assert!(found.len() < max, "the visitor is called after it broke off");
            found.push((key.to_vec(), row.to_stored().unwrap()));
            continue_below(found.len(), max)
        })
        .unwrap();
    found
}

/// An owned [`Change`](crate::Change).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) version: Version,
    pub(super) path: DocumentPath,
    pub(super) before: Option<StoredDocument>,
    pub(super) deleted: bool,
}

pub(super) fn changes(snapshot: &dyn Snapshot, after: Version, max: usize) -> Vec<Changed> {
    let mut found = Vec::new();
    snapshot
        .changes(after, &mut |change| {
            assert!(found.len() < max, "the visitor is called after it broke off");
            found.push(Changed {
                version: change.version,
                path: doc(&format!("{}/{}", change.collection, change.id)),
                before: change.before.map(|before| before.to_stored().unwrap()),
                deleted: change.deleted,
            });
            continue_below(found.len(), max)
        })
        .unwrap();
    found
}

/// An entry of an index with its document.
pub(super) type Entry = (Vec<u8>, StoredDocument);

/// Everything that a snapshot shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) version: Version,
    /// In the order of paths.
    pub(super) documents: Vec<StoredDocument>,
    pub(super) changes: Vec<Changed>,
    pub(super) log: LogInfo,
    pub(super) indexes: Vec<(StoredIndex, Vec<Entry>)>,
}

pub(super) fn contents(snapshot: &dyn Snapshot) -> Contents {
    let log = snapshot.log().unwrap();
    let mut documents = Vec::new();
    for collection in snapshot.collections(None, usize::MAX).unwrap() {
        documents.extend(scan(
            snapshot,
            collection.as_str(),
            EVERYTHING,
            ScanDirection::Forward,
            usize::MAX,
        ));
    }
    documents.sort_by(|left, right| left.path.cmp(&right.path));
    let mut indexes = snapshot.indexes().unwrap();
    indexes.sort_by_key(|index| index.id);
    Contents {
        version: snapshot.version().unwrap(),
        documents,
        changes: changes(snapshot, log.start, usize::MAX),
        log,
        indexes: indexes
            .into_iter()
            .map(|index| {
                let entries = entries(snapshot, index.id, ALL_KEYS, ScanDirection::Forward, usize::MAX);
                (index, entries)
            })
            .collect(),
    }
}

/// Everything that a store shows now. Nothing may be wrong inside it.
pub(super) fn contents_of(store: &dyn Store) -> Contents {
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    contents(&*store.snapshot().unwrap())
}

/// An index on a collection; what it is on does not matter to a store.
pub(super) fn index_on(collection: &str) -> IndexDefinition {
    IndexDefinition {
        collection: collection.to_owned(),
        scope: IndexScope::Collection,
        fields: Vec::new(),
    }
}

/// Whether something is in a range.
pub(super) fn is_within<T: Ord + ?Sized>(place: &T, (lower, upper): (Bound<&T>, Bound<&T>)) -> bool {
    let after = match lower {
        Bound::Unbounded => true,
        Bound::Included(lower) => place >= lower,
        Bound::Excluded(lower) => place > lower,
    };
    let before = match upper {
        Bound::Unbounded => true,
        Bound::Included(upper) => place <= upper,
        Bound::Excluded(upper) => place < upper,
    };
    after && before
}

/// Every range that has these as its bounds.
pub(super) fn ranges<'a, T: ?Sized>(bounds: &[&'a T]) -> Vec<(Bound<&'a T>, Bound<&'a T>)> {
    let mut ends = vec![Bound::Unbounded];
    for bound in bounds {
        ends.extend([Bound::Included(*bound), Bound::Excluded(*bound)]);
    }
    let with_lower = |lower: &Bound<&'a T>| ends.iter().map(|upper| (*lower, *upper)).collect::<Vec<_>>();
    ends.iter().flat_map(with_lower).collect()
}

/// A small generator of random numbers (SplitMix64), the same on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Whether something that happens once in `times` happens now.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}
