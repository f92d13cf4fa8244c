//! Reading documents by their paths.

use andiron_protocol::{CollectionPath, DocumentPath, Version};
use andiron_store::StoredDocument;

use crate::access::Access;
use crate::commit::stored_data;
use crate::engine::Shared;
use crate::rules::{Known, Operation};
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
        let permit = self.authorize(caller, [Access::Get(path)])?;
        match permit.judge() {
            None => self.shared.get(path),
            Some(judge) => judge.get(&self.shared, path),
        }
    }

    /// The document as it was right after the last commit at or before `version`.
    ///
    /// Rules are asked twice, about the document as it was and as it is now, and both must allow it to be read. The past
    /// alone would show to somebody whose rights have ended what they had been kept from seeing since; the present alone
    /// would open, with a document that was made public, the drafts from before. So a document that rules let its owner
    /// read is closed to them, past and all, once it is deleted.
    ///
    /// # Errors
    /// If the caller may not read it, the history does not reach back that far, or the store cannot read.
    pub fn get_at(
        &self,
        caller: &Caller,
        path: &DocumentPath,
        version: Version,
    ) -> Result<Option<StoredDocument>, EngineError> {
        let permit = self.authorize(caller, [Access::Get(path)])?;
        let snapshot = self.shared.store.snapshot()?;
        let Some(judge) = permit.judge() else {
            return Ok(snapshot.get_at(path, version)?);
        };
        let mut known = Known::default();
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        let current = snapshot.get_stored(path)?;
        judge.decide_get(path, current.as_ref(), &mut known, &mut read)??;
        let past = snapshot.get_at(path, version)?;
        judge.decide_get(path, past.as_ref(), &mut known, &mut read)??;
        Ok(past)
    }

    /// Several documents, all at one version.
    ///
    /// # Errors
    /// If the caller may not read one of them, or the store cannot read.
    pub fn batch_get(&self, caller: &Caller, paths: &[DocumentPath]) -> Result<BatchGet, EngineError> {
        let permit = self.authorize(caller, paths.iter().map(Access::Get))?;
        let snapshot = self.shared.store.snapshot()?;
        let documents = paths
            .iter()
            .map(|path| snapshot.get_stored(path))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(judge) = permit.judge() {
            let data = documents
                .iter()
                .map(|document| document.as_ref().map(stored_data).transpose())
                .collect::<Result<Vec<_>, _>>()?;
            let operations: Vec<_> = paths
                .iter()
                .zip(&data)
                .map(|(path, data)| Operation::get(path, data.as_ref()))
                .collect();
            let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
            judge.decide_all(&operations, &mut Known::default(), &mut read)??;
        }
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
        let accesses = [Access::ListCollections]
            .into_iter()
            .chain(parent.map(Access::Get));
        let _whole = self.authorize(caller, accesses)?;
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
        let _whole = self.authorize(caller, [Access::ListCollections])?;
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
                Ok(document)
            }
            Err(ticket) => {
                self.metrics.cache_misses.inc();
                let document = self.store.snapshot()?.get_stored(path)?;
                self.cache.put(ticket, path, document.as_ref());
                Ok(document)
            }
        }
    }
}
