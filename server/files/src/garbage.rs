//! Collecting bytes that are of no more use: those of uploads that came to nothing or were given up, and those of files that were
//! overwritten or deleted longer ago than the past reaches back.

use andiron_engine::Caller;
use andiron_protocol::{
    CommitBody, FieldRef, Filter, Operator, Precondition, Query, Source, Timestamp, Value, Write, WriteKind,
};
use futures_util::StreamExt as _;

use crate::files::{KEYS, key_path};
use crate::resumable::upload_of_part;
use crate::{Blobs, Files, FilesError, UploadId};

/// Keys that are collected before the next are looked for.
const COLLECTED_AT_ONCE: u32 = 200;

impl Files {
    /// Collects what is of no more use; says how many keys went.
    ///
    /// # Errors
    /// If the storage or the store fails. What was collected until then is.
    pub async fn collect_garbage(&self) -> Result<usize, FilesError> {
        let now = self.engine().now().as_micros();
        let before =
            |age: std::time::Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let mut collected = self.collect_uploads().await?;
        collected += self
            .collect_unused(before(self.options().history_age_max))
            .await?;
        collected += self
            .collect_orphans(before(self.options().orphan_age_min))
            .await?;
        Ok(collected)
    }

    async fn collect_unused(&self, until_micros: i64) -> Result<usize, FilesError> {
        let mut collected = 0;
        loop {
            let until = Value::Timestamp(Timestamp::from_micros_clamped(until_micros));
            let query = Query {
                filter: Some(Filter::compare(
                    FieldRef::Field("unused".parse()?),
                    Operator::Less,
                    until,
                )?),
                limit: Some(COLLECTED_AT_ONCE),
                ..Query::all(Source::Collection(KEYS.parse()?))
            };
            let found = self.query(query).await?;
            if found.is_empty() {
                return Ok(collected);
            }
            let mut writes = Vec::new();
            let documents = found.len();
            for document in found {
                self.collect_variants(document.path.id()).await?;
                // First the bytes: a key that is still known is tried again.
                writes.extend(self.remove_bytes(document.path.id()).await?);
                writes.push(Write {
                    path: document.path,
                    kind: WriteKind::Delete,
                    precondition: Precondition::None,
                });
            }
            collected += documents;
            let body = CommitBody {
                writes,
                ..CommitBody::default()
            };
            self.engine().commit(&Caller::System, body, None).await?;
        }
    }

    /// What no document knows and is too old to be an upload under way.
    async fn collect_orphans(&self, until_micros: i64) -> Result<usize, FilesError> {
        let mut collected = 0;
        let mut keys = self.blobs().keys();
        while let Some(entry) = keys.next().await {
            let (key, written_micros) = entry?;
            if written_micros >= until_micros {
                continue;
            }
            let owner = Blobs::owner_noted(&key).and_then(|owner| owner.parse::<UploadId>().ok());
            if let Some(upload) = owner
                && self.engine().get(&Caller::System, &upload.document()?)?.is_some()
            {
                // An upload in several requests may take its time; when it is removed it sees to this itself.
                continue;
            }
            collected += usize::from(self.blobs().forget(&key).await?);
            let path = match upload_of_part(&key) {
                Some(upload) => upload.document()?,
                None if key.len() == KEY_CHARS => key_path(&key)?,
                // What has no name of ours is none of ours.
                None => continue,
            };
            if self.engine().get(&Caller::System, &path)?.is_some() {
                continue;
            }
            self.blobs().delete(&key).await?;
            collected += 1;
        }
        Ok(collected)
    }
}

/// Characters of a generated key.
pub(crate) const KEY_CHARS: usize = 26;
