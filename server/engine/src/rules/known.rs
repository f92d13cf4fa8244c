//! The documents that rules have looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Version};
use andiron_rules::Documents;
use andiron_store::StoredDocument;

use super::ReadDocument;
use crate::EngineError;
use crate::commit::stored_data;

/// Documents by path with their versions, as one state or one commit's check has them.
#[derive(Default)]
pub(crate) struct Known {
    documents: Documents,
    versions: BTreeMap<DocumentPath, Option<Version>>,
    bytes: usize,
}

impl Known {
    /// What rules are given.
    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// Makes a document known that need not be looked up.
    pub(crate) fn insert(&mut self, path: DocumentPath, data: Option<Arc<Map>>) {
        self.documents.insert(path, data);
    }

    /// Makes a document known as the whole commit will leave it.
    pub(crate) fn insert_after(&mut self, path: DocumentPath, data: Option<Arc<Map>>) {
        self.documents.insert_after(path, data);
    }

    /// Reads documents that rules ask for.
    ///
    /// Those of system collections do not exist for rules: what rules can see can be made to show in a decision.
    pub(crate) fn look_up(
        &mut self,
        paths: Vec<DocumentPath>,
        read: ReadDocument<'_>,
    ) -> Result<(), EngineError> {
        for path in paths {
            if path.is_system() {
                self.documents.insert(path, None);
                continue;
            }
            let document = read(&path)?;
            let data = document.as_ref().map(stored_data).transpose()?;
            self.bytes += path.as_str().len() + document.as_ref().map_or(0, |document| document.data.len());
            self.versions.insert(
                path.clone(),
                document.map(|document: StoredDocument| document.version),
            );
            self.documents.insert(path, data.map(Arc::new));
        }
        Ok(())
    }

    /// The versions of the documents that were looked up; `None` for those that do not exist.
    pub(crate) fn versions(&self) -> &BTreeMap<DocumentPath, Option<Version>> {
        &self.versions
    }

    /// Bytes of what was looked up, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
