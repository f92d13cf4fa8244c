//! Publishing a file whose bytes have come: judged as it is, made to last, and put in the place of the one before by a commit.

use andiron_engine::{Caller, FileMethod, FileOperation};
use andiron_protocol::Write;

use super::Arrived;
use crate::embedded::embed;
use crate::files::{ATTEMPTS_MAX, Guard, Published, StoredFile, is_conflict, key_of, key_write};
use crate::usage::{Accounting, Reservation};
use crate::{FileRecord, Files, FilesError};

/// An upload whose bytes have all come and are as they should be.
pub(crate) struct Checked {
    pub(super) files: Files,
    pub(super) caller: Caller,
    pub(super) record: FileRecord,
    pub(super) guard: Guard,
    pub(super) reserved: Vec<Reservation>,
    pub(super) arrived: Arrived,
}

impl Checked {
    /// Makes the bytes last and publishes the file, in one commit with other writes.
    pub(crate) async fn finish(self, mut others: Vec<Write>) -> Result<Published, FilesError> {
        let Self {
            files,
            caller,
            record,
            guard,
            reserved,
            arrived,
        } = self;
        let mut key = None;
        match arrived {
            Arrived::Few(bytes) => others.push(embed(&record.key, bytes)?),
            Arrived::Many(writer) => {
                writer.finish().await?;
                key = Some(record.key.clone());
            }
            Arrived::Elsewhere => {}
        }
        let published = publish(&files, &caller, record, &guard, &reserved, &others).await;
        // After a failure of the store nobody knows what it has: then the bytes stay, and are collected if need be.
        if let Err(error) = &published
            && let Some(key) = key
            && !matches!(error, FilesError::Engine(error) if !is_refusal(error))
            && let Err(error) = files.blobs().delete(&key).await
        {
            tracing::debug!(%error, "the bytes of a refused upload stay until they are collected");
        }
        published
    }
}

/// Whether the engine says that nothing was written.
fn is_refusal(error: &andiron_engine::EngineError) -> bool {
    use andiron_engine::EngineError::{Aborted, Apply, PermissionDenied};
    matches!(error, PermissionDenied(_) | Aborted { .. } | Apply { .. })
}

async fn publish(
    files: &Files,
    caller: &Caller,
    mut record: FileRecord,
    guard: &Guard,
    reserved: &[Reservation],
    others: &[Write],
) -> Result<Published, FilesError> {
    let mut queue = None;
    for _ in 0..ATTEMPTS_MAX {
        let before = files.find(&record.name)?;
        let permit = judge_arrived(files, caller, &record, before.as_ref())?;
        guard.check(before.as_ref())?;
        let now = files.engine().now();
        record.generation = now.as_micros();
        record.time_created = now;
        record.updated = now;
        if let Some(before) = &before {
            record.generation = record.generation.max(before.record.generation + 1);
        }
        let mut writes = Vec::from_iter(key_of(&record)?);
        if let Some(before) = &before {
            writes.push(key_write(&before.record.key, &record.name, Some(now))?);
        }
        let accounted = files.account_for(&Accounting {
            going: before.iter().map(|before| &before.record).collect(),
            coming: vec![&record],
            released: reserved,
            reserved: None,
        })?;
        writes.extend(accounted.writes);
        let permit = permit.below(accounted.ceilings);
        writes.extend(others.iter().cloned());
        match files.commit(&record, before.as_ref(), permit, writes).await {
            Ok(version) => {
                return Ok(Published {
                    file: StoredFile { record, version },
                    is_new: before.is_none(),
                });
            }
            Err(error) if is_conflict(&error) && !is_about(&error, others) => {
                files.overtaken(&mut queue).await
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(FilesError::Contended)
}

/// Whether it is one of these writes that could not be made: trying again would not help.
fn is_about(error: &andiron_engine::EngineError, writes: &[Write]) -> bool {
    error
        .path()
        .is_some_and(|path| writes.iter().any(|write| write.path == *path))
}

/// Judges a file as it is to be, with all that is known of it.
pub(crate) fn judge_arrived(
    files: &Files,
    caller: &Caller,
    record: &FileRecord,
    before: Option<&StoredFile>,
) -> Result<andiron_engine::FilePermit, FilesError> {
    let judge = files.engine().file_judge(caller, record.name.bucket().as_str())?;
    let after = judge.asks_rules().then(|| {
        let mut after = record.to_rules("");
        // What the commit gives is nothing that a rule could be about yet.
        for name in ["generation", "metageneration", "etag", "timeCreated", "updated"] {
            after.remove(name);
        }
        after
    });
    let before = before.filter(|_| judge.asks_rules());
    Ok(judge.decide(FileOperation {
        method: FileMethod::Create,
        bucket: record.name.bucket().as_str(),
        name: record.name.name(),
        before: before.map(StoredFile::to_rules).as_ref(),
        after: after.as_ref(),
        unknown: &[],
    })?)
}
