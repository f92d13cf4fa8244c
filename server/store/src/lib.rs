//! What the engine asks of a store, and what every store shares.
//!
//! A store keeps documents, index entries and the change log; the engine decides what they are. A store plans nothing,
//! knows no rules and no callers, and never interprets a document beyond handing its JSON text through.
//!
//! - [`contract`]: the traits and types that a driver implements.
//! - [`index`]: index definitions and the entries that a document has in them.
//! - [`key`]: the order-preserving encoding of values and paths, on which index entries stand.
//! - [`memory`]: a store in memory, for tests and simulation.
//! - `conformance`, behind the feature of that name: the tests that every driver passes.
//! - `fuzzing`, behind the feature of that name: what the fuzz targets run.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod index;
pub mod key;
pub mod memory;

mod error;

pub use contract::{
    CHECK_PROBLEMS_MAX, COMMIT_CHANGES_MAX, Change, Commit, CommitOutcome, DocumentPredicate, DocumentRow,
    DocumentWrite, EntryChange, Group, IdRange, IndexState, KeyRange, LogInfo, LogRetention, QueryCheck,
    ReadCheck, ScanDirection, Snapshot, Store, StoredDocument, StoredIndex, TrimOutcome, VisitChange,
    VisitDocument, VisitEntry, VisitKey,
};
pub use error::StoreError;
pub use index::{
    ELEMENT_ENTRIES_MAX, INDEX_FIELDS_MAX, IndexDefinition, IndexField, IndexFieldKind, IndexId, IndexScope,
};
