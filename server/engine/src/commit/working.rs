//! A document of a commit while the writes pass over it, one after the other.

use std::sync::Arc;

use andiron_protocol::{
    Applied, ApplyError, FieldPath, Map, Precondition, Timestamp, Value, Version, Write, WriteKind,
    apply_write, data_from_json,
};
use andiron_store::{StoreError, StoredDocument};

use crate::EngineError;

/// What stands for the version of a document that an earlier write of the same commit has changed: no commit has it.
const VERSION_UNDER_WAY: i64 = i64::MAX;

/// A document while the writes of a commit pass over it.
pub(crate) struct Working {
    /// As it was before the commit.
    pub(crate) before: Option<StoredDocument>,
    /// The data of `before`, once somebody has looked into it.
    before_data: Option<Map>,
    /// The data as the writes so far have left it; unset while no write has changed it.
    pub(crate) changed: Option<Option<Arc<Map>>>,
    /// What the last delete of the commit took away of what the commit itself had written.
    pub(crate) undone: Option<Arc<Map>>,
}

/// What transforms gave that depend on the server or on the field.
pub(super) type Results = Vec<(FieldPath, Value)>;

impl Working {
    pub(super) fn new(before: Option<StoredDocument>) -> Self {
        Self {
            before,
            before_data: None,
            changed: None,
            undone: None,
        }
    }

    /// Has the data of the document before the commit read, if there is one.
    pub(crate) fn look_into(&mut self) -> Result<(), EngineError> {
        if let (Some(document), None) = (&self.before, &self.before_data) {
            self.before_data = Some(stored_data(document)?);
        }
        Ok(())
    }

    /// The data of the document before the commit, once it was looked into.
    pub(crate) fn before_data(&self) -> Option<&Map> {
        self.before_data.as_ref()
    }

    /// Applies a write, or says which of its conditions does not hold.
    pub(super) fn apply(
        &mut self,
        write: &Write,
        now: Timestamp,
    ) -> Result<Result<Results, ApplyError>, EngineError> {
        // Only merge and update look at what stands there, so only they have it parsed.
        if matches!(write.kind, WriteKind::Merge(_) | WriteKind::Update { .. }) && self.changed.is_none() {
            self.look_into()?;
        }
        let nothing = Map::new();
        let before = match (&self.changed, &self.before) {
            (Some(changed), _) => changed
                .as_deref()
                .map(|data| (Version::from_micros(VERSION_UNDER_WAY), data)),
            (None, Some(document)) => Some((document.version, self.before_data.as_ref().unwrap_or(&nothing))),
            (None, None) => None,
        };
        let is_absent = before.is_none();
        Ok(apply_write(write, before, now).map(|applied| self.take(write, applied, is_absent)))
    }

    /// Applies a write as if its conditions held, to know what it would have come to.
    pub(super) fn apply_regardless(&mut self, write: &Write, now: Timestamp) -> Result<Results, EngineError> {
        let kind = match &write.kind {
            WriteKind::Create(data) => WriteKind::Set(data.clone()),
            kind => kind.clone(),
        };
        let write = Write {
            path: write.path.clone(),
            kind,
            precondition: Precondition::None,
        };
        match self.apply(&write, now)? {
            Ok(results) => Ok(results),
            // An update of what is not there: it would have filled an empty document.
            Err(_) => {
                let empty = Map::new();
                let before = Some((Version::from_micros(VERSION_UNDER_WAY), &empty));
                let applied = apply_write(&write, before, now).map_err(|reason| EngineError::Apply {
                    path: write.path.clone(),
                    reason,
                })?;
                Ok(self.take(&write, applied, true))
            }
        }
    }

    fn take(&mut self, write: &Write, applied: Applied, was_absent: bool) -> Results {
        match write.kind {
            WriteKind::Verify => {}
            // Deleting what is not there changes nothing, but its absence was seen.
            WriteKind::Delete if was_absent => {}
            _ => {
                let before = self.changed.replace(applied.after);
                if let (Some(Some(undone)), WriteKind::Delete) = (before, &write.kind) {
                    self.undone = Some(undone);
                }
            }
        }
        applied.results
    }
}

/// A stored document's data, which the engine has checked when it was written.
pub(crate) fn stored_data(document: &StoredDocument) -> Result<Map, EngineError> {
    data_from_json(document.data.as_bytes()).map_err(|error| {
        StoreError::Corrupt {
            detail: format!("the data of `{}` is not value JSON: {error}", document.path),
        }
        .into()
    })
}
