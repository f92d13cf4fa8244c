//! Builds an index in small steps between commits.
//!
//! Commits maintain an index from the moment it exists. So whatever is written meanwhile is right already, and the
//! builder only has to add the entries of the documents that were there before: it passes over all documents once, each
//! read in the very group that adds its entries. It may pass over a document twice, as it does after a restart.

use std::ops::{Bound, ControlFlow};
use std::time::{Duration, Instant};

use andiron_protocol::{CollectionPath, data_from_json};
use andiron_store::{Group, IndexDefinition, IndexId, ScanDirection, Snapshot, StoreError};

use crate::EngineError;

/// Documents in one step at most, so that commits never wait long.
const STEP_DOCUMENTS_MAX: u64 = 500;
/// Time after which a step reads no more documents.
const STEP_TIME_MAX: Duration = Duration::from_millis(5);
/// Collections looked up at once.
const COLLECTIONS_AT_ONCE: usize = 256;

/// An index being built, and how far that is.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) id: IndexId,
    pub(crate) definition: IndexDefinition,
    /// The collection that the next document stands in or after; `None` at the beginning.
    collection: Option<CollectionPath>,
    /// The last document of that collection that was passed over; `None` if the collection is done.
    last_id: Option<String>,
    pub(crate) documents_done: u64,
}

impl Build {
    pub(crate) fn new(id: IndexId, definition: IndexDefinition) -> Self {
        Self {
            id,
            definition,
            collection: None,
            last_id: None,
            documents_done: 0,
        }
    }

    /// Adds the entries of the next documents; says whether all are done.
    pub(crate) fn step(&mut self, group: &mut dyn Group) -> Result<bool, EngineError> {
        let begun = Instant::now();
        let mut entries = Vec::new();
        let mut documents = 0;
        let mut is_done = false;
        loop {
            if let (Some(collection), Some(_)) = (self.collection.clone(), &self.last_id) {
                let read =
                    self.read_collection(group.snapshot(), &collection, documents, begun, &mut entries)?;
                documents += read.documents;
                if read.is_stopped {
                    break;
                }
                self.last_id = None;
            }
            if begun.elapsed() > STEP_TIME_MAX {
                break;
            }
            let next = group
                .snapshot()
                .collections(self.collection.as_ref(), COLLECTIONS_AT_ONCE)?;
            let Some(last) = next.last().cloned() else {
                is_done = true;
                break;
            };
            match next
                .into_iter()
                .find(|path| path.name() == self.definition.collection)
            {
                Some(collection) => {
                    self.collection = Some(collection);
                    self.last_id = Some(String::new());
                }
                None => self.collection = Some(last),
            }
        }
        group.add_entries(self.id, &entries)?;
        self.documents_done += documents;
        Ok(is_done)
    }

    fn read_collection(
        &mut self,
        snapshot: &dyn Snapshot,
        collection: &CollectionPath,
        documents_before: u64,
        begun: Instant,
        entries: &mut Vec<(Vec<u8>, andiron_protocol::DocumentPath)>,
    ) -> Result<StepRead, EngineError> {
        let after = self.last_id.clone().unwrap_or_default();
        let mut read = StepRead {
            documents: 0,
            is_stopped: false,
        };
        let mut failure = None;
        let range = (Bound::Excluded(after.as_str()), Bound::Unbounded);
        snapshot.scan_collection(collection, range, ScanDirection::Forward, &mut |row| {
            if documents_before + read.documents >= STEP_DOCUMENTS_MAX || begun.elapsed() > STEP_TIME_MAX {
                read.is_stopped = true;
                return ControlFlow::Break(());
            }
            let mut add = || -> Result<(), StoreError> {
                let path = crate::query::path_of(&row)?;
                let data = data_from_json(row.data.as_bytes()).map_err(|error| StoreError::Corrupt {
                    detail: format!("the data of `{path}` is not value JSON: {error}"),
                })?;
                let keys = self.definition.entry_keys(&path, &data);
                entries.extend(keys.into_iter().map(|key| (key, path.clone())));
                Ok(())
            };
            if let Err(error) = add() {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            read.documents += 1;
            self.last_id = Some(row.id.to_owned());
            ControlFlow::Continue(())
        })?;
        match failure {
            Some(failure) => Err(failure.into()),
            None => Ok(read),
        }
    }
}

/// What a step read of a collection.
struct StepRead {
    documents: u64,
    /// Whether it stopped before the end.
    is_stopped: bool,
}

/// How many documents an index on collections of this name will have passed over when it is complete.
pub(crate) fn count_documents(snapshot: &dyn Snapshot, name: &str) -> Result<u64, EngineError> {
    let mut count = 0;
    let mut after: Option<CollectionPath> = None;
    loop {
        let collections = snapshot.collections(after.as_ref(), COLLECTIONS_AT_ONCE)?;
        for collection in collections.iter().filter(|path| path.name() == name) {
            count += snapshot.count_collection(collection, (Bound::Unbounded, Bound::Unbounded), u64::MAX)?;
        }
        match collections.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(count),
        }
    }
}
