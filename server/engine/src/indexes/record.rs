//! What is remembered of an index beside its definition: when it was last used, and whether it is to stay. Documents of
//! the system collection `_indexes`, named by the index's number.

use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

use andiron_protocol::{
    CollectionPath, CommitBody, DocumentPath, InputError, Map, Precondition, Timestamp, Value, Write,
    WriteData, WriteKind, data_from_json,
};
use andiron_store::{IndexId, ScanDirection, Snapshot};

use crate::EngineError;

const COLLECTION: &str = "_indexes";
const LAST_USED: &str = "lastUsed";
const PINNED: &str = "pinned";

/// What is remembered of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it was last used, give or take.
    pub(crate) last_used: Timestamp,
    /// Whether somebody asked for it, so that it stays even if unused.
    pub(crate) is_pinned: bool,
}

fn path(id: IndexId) -> Result<DocumentPath, InputError> {
    format!("{COLLECTION}/{}", id.0).parse()
}

/// All records; what is no record is passed over.
pub(crate) fn read_all(snapshot: &dyn Snapshot) -> Result<HashMap<IndexId, Record>, EngineError> {
    let collection: CollectionPath = COLLECTION.parse()?;
    let mut records = HashMap::new();
    let all = (Bound::Unbounded, Bound::Unbounded);
    snapshot.scan_collection(&collection, all, ScanDirection::Forward, &mut |row| {
        if let (Ok(id), Ok(data)) = (row.id.parse(), data_from_json(row.data.as_bytes()))
            && let Some(Value::Timestamp(last_used)) = data.get(LAST_USED)
        {
            let record = Record {
                last_used: *last_used,
                is_pinned: data.get(PINNED).and_then(Value::as_boolean).unwrap_or_default(),
            };
            records.insert(IndexId(id), record);
        }
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

/// The commit that writes these records, and takes away those of indexes that are gone.
pub(crate) fn commit_body(changes: &[(IndexId, Option<Record>)]) -> Result<CommitBody, InputError> {
    let write = |(id, record): &(IndexId, Option<Record>)| {
        let kind = match record {
            Some(record) => WriteKind::Set(WriteData::from(Map::from([
                (LAST_USED.to_owned(), Value::Timestamp(record.last_used)),
                (PINNED.to_owned(), Value::Boolean(record.is_pinned)),
            ]))),
            None => WriteKind::Delete,
        };
        Ok(Write {
            path: path(*id)?,
            kind,
            precondition: Precondition::None,
        })
    };
    Ok(CommitBody {
        writes: changes.iter().map(write).collect::<Result<_, InputError>>()?,
        ..CommitBody::default()
    })
}
