//! The contract between the engine and a store.
//!
//! Reading goes through [`Snapshot`]s, of which there may be many at once and which never wait for a writer. Writing
//! goes through one [`Group`] at a time: the engine applies many commits to it, each checked against what it read, and
//! finishes it with one sync. A commit that conflicts changes nothing and leaves the group as it was.
//!
//! Scans call a visitor for each row instead of returning an iterator, so that rows can be borrowed from the driver and
//! written out without a copy.

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, Source, Version};

use crate::{IndexDefinition, IndexId, StoreError};

/// Documents that one commit changes at most.
pub const COMMIT_CHANGES_MAX: usize = 1024;
/// Sentences that one examination of a store returns at most.
pub const CHECK_PROBLEMS_MAX: usize = 100;

/// A place that keeps documents, index entries and the change log.
pub trait Store: Send + Sync + 'static {
    /// A consistent view of the newest committed state. Cheap; several may be open on one thread. Not to be held across
    /// waits: a driver may keep old data alive for it.
    ///
    /// # Errors
    /// If the driver cannot read.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// Begins a group of commits. Blocks while another group is open, so a thread must not begin a second one before
    /// its first is gone. Snapshots may be open beside it.
    ///
    /// # Errors
    /// If the driver cannot write.
    fn begin(&self) -> Result<Box<dyn Group + '_>, StoreError>;

    /// Writes a consistent copy of everything to a new file or folder while commits go on; `progress` is told how many
    /// parts of how many are done and may stop the copy.
    ///
    /// # Errors
    /// If the target exists or cannot be written.
    fn backup(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Examines what only the driver can examine (pages, checksums, its own tables) and returns a sentence for each
    /// problem, at most [`CHECK_PROBLEMS_MAX`].
    ///
    /// # Errors
    /// If the examination itself cannot be done.
    fn check(&self) -> Result<Vec<String>, StoreError>;

    /// Bytes that the data takes on the disk, 0 if it is not on one.
    ///
    /// # Errors
    /// If the driver cannot tell.
    fn size_bytes(&self) -> Result<u64, StoreError>;
}

/// A document as it is stored: its data stays JSON text until somebody needs to look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Where it stands.
    pub path: DocumentPath,
    /// The version of the commit that last wrote it.
    pub version: Version,
    /// The version of the commit that created it.
    pub created: Version,
    /// Its data as value JSON without whitespace.
    pub data: Arc<str>,
}

/// A document in the hands of a visitor, borrowed from the driver.
#[derive(Clone, Copy, Debug)]
pub struct DocumentRow<'a> {
    /// The path of its collection.
    pub collection: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The version of the commit that last wrote it.
    pub version: Version,
    /// The version of the commit that created it.
    pub created: Version,
    /// Its data as value JSON without whitespace.
    pub data: &'a str,
}

/// A range of ids within a collection, by their UTF-8 bytes.
pub type IdRange<'a> = (Bound<&'a str>, Bound<&'a str>);
/// A range of keys within an index.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);
/// Is called with each document and tells the scan whether to go on.
pub type VisitDocument<'v> = &'v mut dyn FnMut(DocumentRow<'_>) -> ControlFlow<()>;
/// Is called with each entry of an index and its document, and tells the scan whether to go on.
pub type VisitEntry<'v> = &'v mut dyn FnMut(&[u8], DocumentRow<'_>) -> ControlFlow<()>;
/// Is called with each key and tells the scan whether to go on.
pub type VisitKey<'v> = &'v mut dyn FnMut(&[u8]) -> ControlFlow<()>;
/// Is called with each change and tells the scan whether to go on.
pub type VisitChange<'v> = &'v mut dyn FnMut(Change<'_>) -> ControlFlow<()>;

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanDirection {
    /// From the smallest key on.
    Forward,
    /// From the largest key back.
    Backward,
}

/// A consistent view of the store at one version.
///
/// A visitor may read from the same view while it is called.
///
/// A range whose lower bound is beyond its upper one is empty. An index that the view does not have, because it was
/// dropped before or created since, is an error.
pub trait Snapshot {
    /// The version of the last commit that this view sees; [`Version::ZERO`] if there was none.
    fn version(&self) -> Result<Version, StoreError>;

    /// The document, if it exists; the visitor is called at most once, and what it answers does not matter.
    fn get(&self, path: &DocumentPath, visit: VisitDocument<'_>) -> Result<(), StoreError>;

    /// The document as it was right after the last commit at or before `version`; one that is yet to come gives the
    /// document as it is.
    ///
    /// # Errors
    /// [`StoreError::HistoryGone`] if `version` is before [`LogInfo::start`].
    fn get_at(&self, path: &DocumentPath, version: Version) -> Result<Option<StoredDocument>, StoreError>;

    /// The documents of one collection, by id.
    fn scan_collection(
        &self,
        collection: &CollectionPath,
        range: IdRange<'_>,
        direction: ScanDirection,
        visit: VisitDocument<'_>,
    ) -> Result<(), StoreError>;

    /// The documents of every collection of this name, those of one collection together and by id, the collections in
    /// no order that callers may rely on.
    fn scan_group(&self, name: &str, visit: VisitDocument<'_>) -> Result<(), StoreError>;

    /// The entries of an index with their documents, by key.
    fn scan_index(
        &self,
        index: IndexId,
        range: KeyRange<'_>,
        direction: ScanDirection,
        visit: VisitEntry<'_>,
    ) -> Result<(), StoreError>;

    /// The keys of an index alone, by key: no document is touched.
    fn scan_index_keys(
        &self,
        index: IndexId,
        range: KeyRange<'_>,
        direction: ScanDirection,
        visit: VisitKey<'_>,
    ) -> Result<(), StoreError>;

    /// How many entries of an index are in a range, counting at most `max`.
    fn count_index(&self, index: IndexId, range: KeyRange<'_>, max: u64) -> Result<u64, StoreError>;

    /// How many documents of a collection are in a range of ids, counting at most `max`.
    fn count_collection(
        &self,
        collection: &CollectionPath,
        range: IdRange<'_>,
        max: u64,
    ) -> Result<u64, StoreError>;

    /// The names of the collections that hold a document, at the root or directly under one document, sorted.
    fn collection_names(&self, parent: Option<&DocumentPath>) -> Result<Vec<String>, StoreError>;

    /// The paths of all collections that hold a document, in the order of paths; after `after`, which need not be one of
    /// them, at most `max`.
    fn collections(
        &self,
        after: Option<&CollectionPath>,
        max: usize,
    ) -> Result<Vec<CollectionPath>, StoreError>;

    /// The changes after a version in the order of their commits; within a commit in the order of paths.
    ///
    /// # Errors
    /// [`StoreError::HistoryGone`] if `after` is before [`LogInfo::start`].
    fn changes(&self, after: Version, visit: VisitChange<'_>) -> Result<(), StoreError>;

    /// What the change log holds.
    fn log(&self) -> Result<LogInfo, StoreError>;

    /// Every index, ready or not.
    fn indexes(&self) -> Result<Vec<StoredIndex>, StoreError>;
}

/// One document's change by one commit. What it changed to is `get_at(path, version)`.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The version of the commit.
    pub version: Version,
    /// The path of the document's collection.
    pub collection: &'a str,
    /// The document's id.
    pub id: &'a str,
    /// The document as it was before; `None` if the commit created it.
    pub before: Option<DocumentRow<'a>>,
    /// Whether the commit deleted it.
    pub deleted: bool,
}

/// What the change log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// States at this version and later can be read: it is that of the last commit that was trimmed, and
    /// [`Version::ZERO`] while none was.
    pub start: Version,
    /// Rows in the log.
    pub changes: u64,
    /// Bytes of the data of documents as they were before, held by the log.
    pub bytes: u64,
}

/// How much of the change log is kept: what is older than `after` goes, and the oldest goes while there are more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRetention {
    /// Changes at or before this version may go.
    pub after: Version,
    /// Bytes of the data of documents as they were before that the log may hold.
    pub bytes_max: u64,
    /// Rows to remove at most in one step, so that a group stays short; a single commit with more is removed all the same.
    pub step_changes_max: u64,
}

/// What one step of trimming did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrimOutcome {
    /// Rows removed.
    pub removed: u64,
    /// Whether more is to be removed.
    pub more: bool,
}

/// An index as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIndex {
    /// Its number, never used again for another.
    pub id: IndexId,
    /// What it holds.
    pub definition: IndexDefinition,
    /// How far it is.
    pub state: IndexState,
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// Every commit maintains it, but documents from before may be missing.
    Building,
    /// It is complete.
    Ready,
}

/// A commit with all that the store needs to check and write. One without writes is checked, and its version counts all
/// the same.
#[derive(Default)]
pub struct Commit {
    /// Documents that must be as they were when the commit was prepared, beyond those in `writes`.
    pub reads: Vec<ReadCheck>,
    /// Queries that no change since may have touched.
    pub queries: Vec<QueryCheck>,
    /// The documents that change, each at most once, at most [`COMMIT_CHANGES_MAX`].
    pub writes: Vec<DocumentWrite>,
}

/// A document that must be at this version; `None`: absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadCheck {
    /// The document.
    pub path: DocumentPath,
    /// Its version when it was read.
    pub version: Option<Version>,
}

/// Whether a document with this path and data (value JSON) is one that matters.
pub type DocumentPredicate = Arc<dyn Fn(&DocumentPath, &str) -> bool + Send + Sync>;

/// A query that no change after a version may have touched: for every document of `source` that the log says was
/// changed, `matches` is asked about the data before each change and about the data now.
pub struct QueryCheck {
    /// Where the query looks.
    pub source: Source,
    /// The version of its result.
    pub version: Version,
    /// Whether a document with this data (value JSON) belongs to the query.
    pub matches: DocumentPredicate,
}

/// One document's change. The store checks that the document still has the version that `before` says, or still is
/// absent. It changes something: `before` and `after` are never both `None`.
#[derive(Clone, Debug)]
pub struct DocumentWrite {
    /// The document.
    pub path: DocumentPath,
    /// As it was when the commit was prepared; goes into the change log.
    pub before: Option<StoredDocument>,
    /// Its data afterwards as value JSON without whitespace; `None` deletes it. A document that is created again is a new
    /// one: its `created` is the commit's version.
    pub after: Option<Arc<str>>,
    /// What changes in the indexes, for exactly those that exist while the group is open.
    pub entries: Vec<EntryChange>,
}

/// An index entry that a write adds or removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// The index.
    pub index: IndexId,
    /// The entry's key.
    pub key: Vec<u8>,
    /// Whether it is added; removed otherwise.
    pub added: bool,
}

/// Whether a commit was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is part of the group.
    Applied,
    /// A document was no longer as it was read; nothing of the commit is in the group.
    Conflict(DocumentPath),
    /// A query (by its place in the commit) was touched, or the log no longer reaches back to its version; nothing of
    /// the commit is in the group.
    QueryConflict(usize),
}

/// A group of commits under way: invisible to others until it is finished, gone if it is dropped.
pub trait Group {
    /// The state with what the group has applied so far.
    fn snapshot(&self) -> &dyn Snapshot;

    /// The version of the last commit, those of this group included.
    fn last_version(&self) -> Version;

    /// Checks a commit and, if nothing conflicts, writes it and its change-log rows at `version`, which must be greater
    /// than [`Group::last_version`].
    ///
    /// # Errors
    /// If `version` is not, if the commit is too large, or if the driver fails; the group must then be dropped.
    fn apply(&mut self, commit: &Commit, version: Version) -> Result<CommitOutcome, StoreError>;

    /// Adds an index that is being built. Its number was never that of another index, not even of one dropped before
    /// the data was last opened.
    ///
    /// # Errors
    /// If the driver fails; the group must then be dropped.
    fn create_index(&mut self, definition: &IndexDefinition) -> Result<IndexId, StoreError>;

    /// Adds entries of documents that exist in the group's state to an index that is being built; entries that are there
    /// already are fine.
    ///
    /// # Errors
    /// If the driver fails; the group must then be dropped.
    fn add_entries(&mut self, index: IndexId, entries: &[(Vec<u8>, DocumentPath)]) -> Result<(), StoreError>;

    /// Declares an index complete.
    ///
    /// # Errors
    /// If the driver fails; the group must then be dropped.
    fn finish_index(&mut self, index: IndexId) -> Result<(), StoreError>;

    /// Removes an index. Its entries may be left behind, where nobody sees them, for [`Group::sweep`].
    ///
    /// # Errors
    /// If the driver fails; the group must then be dropped.
    fn drop_index(&mut self, index: IndexId) -> Result<(), StoreError>;

    /// Removes at most `entries_max` entries that dropped indexes have left behind; whether there may be more. So that no
    /// group takes long, however large an index was.
    ///
    /// # Errors
    /// If the driver fails; the group must then be dropped.
    fn sweep(&mut self, entries_max: u64) -> Result<bool, StoreError>;

    /// Removes the oldest part of the change log, in whole commits: at least one if any is to go.
    ///
    /// # Errors
    /// If the driver fails; the group must then be dropped.
    fn trim_log(&mut self, retention: LogRetention) -> Result<TrimOutcome, StoreError>;

    /// Makes the group visible and durable. One sync, however many commits there are.
    ///
    /// # Errors
    /// If it could not be made durable; [`StoreError::SyncFailed`] if nobody knows.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

impl DocumentRow<'_> {
    /// An owned copy.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the path in the store is not a path.
    pub fn to_stored(&self) -> Result<StoredDocument, StoreError> {
        let path = format!("{}/{}", self.collection, self.id)
            .parse()
            .map_err(|error| StoreError::Corrupt {
                detail: format!("a stored path is not one: {error}"),
            })?;
        Ok(StoredDocument {
            path,
            version: self.version,
            created: self.created,
            data: Arc::from(self.data),
        })
    }
}

impl dyn Snapshot + '_ {
    /// The document as an owned copy, if it exists.
    ///
    /// # Errors
    /// If the driver cannot read.
    pub fn get_stored(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        let mut found = None;
        self.get(path, &mut |row| {
            found = Some(StoredDocument {
                path: path.clone(),
                version: row.version,
                created: row.created,
                data: Arc::from(row.data),
            });
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}
