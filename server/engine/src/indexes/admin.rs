//! What administrators see of indexes and do with them.

use andiron_protocol::Timestamp;
use andiron_store::{IndexDefinition, IndexId, IndexState};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::file::Entry;
use crate::access::authorize_administration;
use crate::{Caller, Engine, EngineError, Permission};

/// An index and how it fares. In JSON the definition stands as in an `andiron.indexes.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// Its number.
    pub id: IndexId,
    /// What it holds.
    pub definition: IndexDefinition,
    /// Whether queries can use it.
    pub is_ready: bool,
    /// While it is built: documents done, and documents that there were when that began.
    pub progress: Option<(u64, u64)>,
    /// When a query last used it, if that is known.
    pub last_used: Option<Timestamp>,
    /// Whether somebody asked for it, so that it stays even if unused.
    pub is_pinned: bool,
}

impl Serialize for IndexInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = Entry::from(&self.definition);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("collection", &entry.collection)?;
        map.serialize_entry("scope", &entry.scope)?;
        map.serialize_entry("fields", &entry.fields)?;
        map.serialize_entry("state", if self.is_ready { "ready" } else { "building" })?;
        if let Some((done, total)) = self.progress {
            map.serialize_entry("documentsDone", &done)?;
            map.serialize_entry("documentsTotal", &total)?;
        }
        map.serialize_entry("lastUsed", &self.last_used)?;
        map.serialize_entry("pinned", &self.is_pinned)?;
        map.end()
    }
}

impl Engine {
    /// Every index, by collection and number.
    ///
    /// # Errors
    /// If the caller may not administer.
    pub fn indexes(&self, caller: &Caller) -> Result<Vec<IndexInfo>, EngineError> {
        authorize_administration(caller, Permission::ServerRead)?;
        let set = self.shared.indexes.load();
        let mut indexes: Vec<_> = set
            .iter()
            .map(|index| {
                let record = self.indexes.record(index.id);
                let known = set.readable_by_id(index.id).and_then(|index| index.last_used());
                let progress = self.indexes.progress(index.id);
                IndexInfo {
                    id: index.id,
                    definition: index.definition.clone(),
                    is_ready: index.state == IndexState::Ready,
                    progress: progress.map(|progress| (progress.documents_done, progress.documents_total)),
                    last_used: known.max(record.map(|record| record.last_used)),
                    is_pinned: record.is_some_and(|record| record.is_pinned),
                }
            })
            .collect();
        indexes.sort_by(|left, right| {
            (&left.definition.collection, left.id).cmp(&(&right.definition.collection, right.id))
        });
        Ok(indexes)
    }

    /// Creates an index, which stays until it is dropped by [`Engine::drop_index`]. Returns when commits maintain it; it is
    /// built in the background, and queries use it from then on. If there is one already, it stays from now on.
    ///
    /// # Errors
    /// If the caller may not administer, the definition is not a possible one, the indexes are fixed by a file, or the
    /// store cannot write.
    pub async fn create_index(
        &self,
        caller: &Caller,
        definition: IndexDefinition,
    ) -> Result<IndexId, EngineError> {
        authorize_administration(caller, Permission::Everything)?;
        self.indexes.create(definition).await
    }

    /// Drops an index. Returns when it is gone.
    ///
    /// # Errors
    /// If the caller may not administer, there is no such index, the indexes are fixed by a file, or the store cannot
    /// write.
    pub async fn drop_index(&self, caller: &Caller, id: IndexId) -> Result<(), EngineError> {
        authorize_administration(caller, Permission::Everything)?;
        self.indexes.drop_index(id).await
    }

    /// Waits until the indexes are built and dropped that queries before this call have given reason for; for tests and
    /// measurements.
    ///
    /// # Errors
    /// If the engine is closed.
    pub async fn settle_indexes(&self) -> Result<(), EngineError> {
        self.indexes.settle().await
    }
}
