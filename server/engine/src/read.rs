//! Reading documents by their paths.

use andiron_protocol::{CollectionPath, DocumentPath, Version};
use andiron_store::StoredDocument;

use crate::access::{Access, authorize};
use crate::engine::Shared;
use crate::{Caller, Engine, EngineError};

/// Documents at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchGet {
    /// The version that they were read at.
    pub version: Version,
    /// One for each path, in the order of the paths.
    pub documents: Vec<Option<StoredDocument>>,
}

impl Engine {
    /// The document as it is now.
    ///
    /// # Errors
    /// If the caller may not read it or the store cannot.
    pub fn get(&self, caller: &Caller, path: &DocumentPath) -> Result<Option<StoredDocument>, EngineError> {
        authorize(caller, Access::Get(path))?;
        self.shared.get(path)
    }

    /// The document as it was right after the last commit at or before `version`.
    ///
    /// # Errors
    /// If the caller may not read it, the history does not reach back that far, or the store cannot read.
    pub fn get_at(
        &self,
        caller: &Caller,
        path: &DocumentPath,
        version: Version,
    ) -> Result<Option<StoredDocument>, EngineError> {
        authorize(caller, Access::Get(path))?;
        Ok(self.shared.store.snapshot()?.get_at(path, version)?)
    }

    /// Several documents, all at one version.
    ///
    /// # Errors
    /// If the caller may not read one of them, or the store cannot read.
    pub fn batch_get(&self, caller: &Caller, paths: &[DocumentPath]) -> Result<BatchGet, EngineError> {
        for path in paths {
            authorize(caller, Access::Get(path))?;
        }
        if paths.is_empty() {
            // Nothing has been put to anybody, yet the answer tells the newest version.
            authorize(caller, Access::Administer)?;
        }
        let snapshot = self.shared.store.snapshot()?;
        let documents = paths
            .iter()
            .map(|path| snapshot.get_stored(path))
            .collect::<Result<_, _>>()?;
        Ok(BatchGet {
            version: snapshot.version()?,
            documents,
        })
    }

    /// The names of the collections that hold a document, at the root or under one document, sorted.
    ///
    /// # Errors
    /// If the caller may not list collections, or the store cannot read.
    pub fn collection_names(
        &self,
        caller: &Caller,
        parent: Option<&DocumentPath>,
    ) -> Result<Vec<String>, EngineError> {
        authorize(caller, Access::ListCollections)?;
        if let Some(parent) = parent {
            authorize(caller, Access::Get(parent))?;
        }
        let mut names = self.shared.store.snapshot()?.collection_names(parent)?;
        if *caller != Caller::System {
            names.retain(|name| !name.starts_with('_'));
        }
        Ok(names)
    }

    /// The paths of the collections that hold a document, at any depth and whether or not the documents above them
    /// exist, in the order of paths; those after `after`, at most `max`. Fewer than `max` means that there are no more.
    ///
    /// # Errors
    /// If the caller may not list collections, or the store cannot read.
    pub fn collections(
        &self,
        caller: &Caller,
        after: Option<&CollectionPath>,
        max: usize,
    ) -> Result<Vec<CollectionPath>, EngineError> {
        authorize(caller, Access::ListCollections)?;
        let snapshot = self.shared.store.snapshot()?;
        let mut found = Vec::new();
        let mut after = after.cloned();
        while found.len() < max {
            let step = snapshot.collections(after.as_ref(), max)?;
            let is_last = step.len() < max;
            after = step.last().cloned();
            found.extend(
                step.into_iter()
                    .filter(|path| *caller == Caller::System || !path.is_system()),
            );
            if is_last {
                break;
            }
        }
        found.truncate(max);
        Ok(found)
    }
}

impl Shared {
    /// The newest committed document, from the cache or the store.
    pub(crate) fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, EngineError> {
        match self.cache.get(path) {
            Ok(document) => {
                self.metrics.cache_hits.inc();
                Ok(Some(document))
            }
            Err(ticket) => {
                self.metrics.cache_misses.inc();
                let document = self.store.snapshot()?.get_stored(path)?;
                if let Some(document) = &document {
                    self.cache.put(ticket, document);
                }
                Ok(document)
            }
        }
    }
}
