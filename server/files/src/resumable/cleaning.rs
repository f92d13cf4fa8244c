//! Removing uploads: their parts, then what says that there were any.

use andiron_engine::{Caller, StoredDocument};
use andiron_protocol::{
    CommitBody, Direction, FieldRef, Filter, Operator, OrderBy, Precondition, Query, Source, Value, Write,
    WriteKind, data_from_json,
};

use super::record::{Part, PartPlace, UPLOADS, UploadId, UploadRecord, offset_id};
use crate::files::{ATTEMPTS_MAX, is_conflict};
use crate::usage::Accounting;
use crate::{Files, FilesError};

/// Documents that are read or removed at once.
const AT_ONCE: u32 = 200;

impl Files {
    /// The parts of an upload, in order.
    pub(super) async fn parts_of(&self, id: &UploadId) -> Result<Vec<Part>, FilesError> {
        self.parts_from(id, 0).await
    }

    /// The parts of an upload that begin at an offset or behind it, in order.
    pub(super) async fn parts_from(&self, id: &UploadId, offset: u64) -> Result<Vec<Part>, FilesError> {
        let mut parts = Vec::new();
        let (mut operator, mut bound) = (Operator::GreaterOrEqual, offset_id(offset));
        loop {
            let found = self.read_parts(id, Some((operator, &bound))).await?;
            for document in &found {
                parts.push(part(id, document)?);
            }
            match found.last() {
                Some(last) if found.len() == AT_ONCE as usize => {
                    (operator, bound) = (Operator::Greater, last.path.id().to_owned());
                }
                _ => return Ok(parts),
            }
        }
    }

    /// Removes an upload and its parts. A crash in between leaves the rest to the next time.
    pub(super) async fn remove_upload(&self, id: &UploadId) -> Result<(), FilesError> {
        if let Some((record, _)) = self.read_upload(id)? {
            self.abandon_assembly(&record).await?;
        }
        self.remove_parts(id).await?;
        for _ in 0..ATTEMPTS_MAX {
            let Some((record, version)) = self.read_upload(id)? else {
                return Ok(());
            };
            let delete = Write {
                path: id.document()?,
                kind: WriteKind::Delete,
                precondition: Precondition::Version(version),
            };
            let released = [record.room(record.reserved)];
            let accounting = Accounting {
                released: &released,
                ..Accounting::default()
            };
            match self.commit_accounted(vec![delete], &accounting).await {
                Ok(_) => return Ok(()),
                // Somebody got on with it, or has removed it.
                Err(FilesError::Engine(error)) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(FilesError::Contended)
    }

    /// Makes the store forget what it is putting together, unless that has become a file.
    async fn abandon_assembly(&self, record: &UploadRecord) -> Result<(), FilesError> {
        let (Some(assembly), owner) = (&record.assembly, record.id.as_str()) else {
            return Ok(());
        };
        if record.is_done {
            self.blobs().settle(&assembly.key, owner).await;
            return Ok(());
        }
        self.blobs()
            .abandon(&assembly.key, owner, &assembly.id, assembly.is_whole)
            .await
    }

    /// Removes the parts of an upload, which are of no more use.
    pub(super) async fn remove_parts(&self, id: &UploadId) -> Result<(), FilesError> {
        loop {
            let found = self.read_parts(id, None).await?;
            if found.is_empty() {
                return Ok(());
            }
            for document in &found {
                // First the bytes: a part that is still known is tried again.
                if let PartPlace::Own(key) = part(id, document)?.place {
                    self.blobs().delete(&key).await?;
                }
            }
            self.delete_documents(found.into_iter().map(|document| document.path))
                .await?;
        }
    }

    /// Removes uploads with which nobody has gone on for too long; says how many.
    pub(crate) async fn collect_uploads(&self) -> Result<usize, FilesError> {
        let mut collected = 0;
        loop {
            let query = Query {
                filter: Some(Filter::compare(
                    FieldRef::Field("expires".parse()?),
                    Operator::LessOrEqual,
                    Value::Timestamp(self.engine().now()),
                )?),
                limit: Some(AT_ONCE),
                ..Query::all(Source::Collection(UPLOADS.parse()?))
            };
            let found = self.query(query).await?;
            if found.is_empty() {
                return Ok(collected);
            }
            for document in found {
                let id: UploadId = document.path.id().parse()?;
                // A request that was let in just before it expired is let go on to its end.
                let _turn = self.turns().take(&id).await?;
                self.remove_upload(&id).await?;
                collected += 1;
            }
        }
    }

    async fn read_parts(
        &self,
        id: &UploadId,
        bound: Option<(Operator, &str)>,
    ) -> Result<Vec<StoredDocument>, FilesError> {
        let filter = bound
            .map(|(operator, bound)| Filter::compare(FieldRef::Id, operator, Value::from(bound)))
            .transpose()?;
        let query = Query {
            filter,
            order_by: vec![OrderBy {
                field: FieldRef::Id,
                direction: Direction::Ascending,
            }],
            limit: Some(AT_ONCE),
            ..Query::all(Source::Collection(id.parts()?))
        };
        self.query(query).await
    }

    async fn delete_documents(
        &self,
        paths: impl IntoIterator<Item = andiron_protocol::DocumentPath>,
    ) -> Result<(), FilesError> {
        let writes = paths.into_iter().map(|path| Write {
            path,
            kind: WriteKind::Delete,
            precondition: Precondition::None,
        });
        let body = CommitBody {
            writes: writes.collect(),
            ..CommitBody::default()
        };
        self.engine().commit(&Caller::System, body, None).await?;
        Ok(())
    }
}

fn part(id: &UploadId, document: &StoredDocument) -> Result<Part, FilesError> {
    let map = data_from_json(document.data.as_bytes())
        .map_err(|error| FilesError::Internal(format!("a part of `{id}` cannot be read: {error}")))?;
    Part::from_map(&map, id)
}
