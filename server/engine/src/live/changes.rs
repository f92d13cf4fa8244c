//! What has become of documents between two versions: the documents before and after, whatever happened between.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

use andiron_protocol::{DocumentPath, Map, Version};
use andiron_store::{DocumentRow, Snapshot, StoreError, StoredDocument};

use crate::commit::stored_data;
use crate::{EngineError, LiveLimits};

/// A document, looked into when somebody first asks.
pub(super) struct Side {
    pub(super) document: StoredDocument,
    data: OnceCell<Map>,
}

impl Side {
    pub(super) fn new(document: StoredDocument) -> Self {
        Self {
            document,
            data: OnceCell::new(),
        }
    }

    pub(super) fn row(&self) -> DocumentRow<'_> {
        row_of(&self.document)
    }

    pub(super) fn data(&self) -> Result<&Map, EngineError> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let data = stored_data(&self.document)?;
        Ok(self.data.get_or_init(|| data))
    }
}

/// A document as the store lends it.
pub(super) fn row_of(document: &StoredDocument) -> DocumentRow<'_> {
    DocumentRow {
        collection: document.path.collection_str(),
        id: document.path.id(),
        version: document.version,
        created: document.created,
        data: &document.data,
    }
}

/// What has become of one document.
pub(super) struct NetChange {
    pub(super) path: DocumentPath,
    pub(super) before: Option<Side>,
    pub(super) after: Option<Side>,
}

/// What has become since a version of the documents that are of interest, in the order of paths; `None` if the log no
/// longer tells, or tells too much.
pub(super) fn since(
    snapshot: &dyn Snapshot,
    version: Version,
    limits: &LiveLimits,
    is_of_interest: &dyn Fn(&str, &str) -> bool,
) -> Result<Option<Vec<NetChange>>, EngineError> {
    let mut befores: BTreeMap<DocumentPath, Option<StoredDocument>> = BTreeMap::new();
    let mut bytes = 0;
    let mut failure = None;
    let mut is_over = false;
    let visited = snapshot.changes(version, &mut |change| {
        if !is_of_interest(change.collection, change.id) {
            return ControlFlow::Continue(());
        }
        let noted = path_of(change.collection, change.id).and_then(|path| {
            // What stood there first is what was there before.
            if let Entry::Vacant(place) = befores.entry(path) {
                let before = change.before.map(|before| before.to_stored()).transpose()?;
                bytes += before.as_ref().map_or(0, |before| before.data.len());
                place.insert(before);
            }
            Ok(())
        });
        if let Err(error) = noted {
            failure = Some(error);
            return ControlFlow::Break(());
        }
        is_over = befores.len() > limits.step_changes_max || bytes > limits.step_bytes_max;
        if is_over {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    match visited {
        Err(StoreError::HistoryGone { .. }) => return Ok(None),
        visited => visited?,
    }
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let mut changes = Vec::with_capacity(befores.len());
    for (path, before) in befores {
        if is_over {
            break;
        }
        let after = snapshot.get_stored(&path)?;
        bytes += after.as_ref().map_or(0, |after| after.data.len());
        is_over = bytes > limits.step_bytes_max;
        if before.is_some() || after.is_some() {
            changes.push(NetChange {
                path,
                before: before.map(Side::new),
                after: after.map(Side::new),
            });
        }
    }
    Ok((!is_over).then_some(changes))
}

/// Whether a state at this version ever was one of this store's, as far as its log tells.
pub(super) fn is_known(snapshot: &dyn Snapshot, version: Version) -> Result<bool, EngineError> {
    if version == snapshot.version()? || version == snapshot.log()?.start {
        return Ok(true);
    }
    if version > snapshot.version()? || version == Version::ZERO {
        return Ok(false);
    }
    let mut is_known = false;
    let before = Version::from_micros(version.as_micros() - 1);
    let visited = snapshot.changes(before, &mut |change| {
        is_known = change.version == version;
        ControlFlow::Break(())
    });
    match visited {
        Err(StoreError::HistoryGone { .. }) => Ok(false),
        visited => {
            visited?;
            Ok(is_known)
        }
    }
}

/// The path of a document that a log has.
pub(super) fn path_of(collection: &str, id: &str) -> Result<DocumentPath, StoreError> {
    format!("{collection}/{id}")
        .parse()
        .map_err(|error| StoreError::Corrupt {
            detail: format!("a stored path is not one: {error}"),
        })
}
