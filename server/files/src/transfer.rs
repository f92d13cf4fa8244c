//! Copying and moving files, and deleting several at once: each side put to the rules, all of it one commit.
//!
//! A copy has bytes of its own, under a key of its own. A file that is moved keeps its bytes and its key.

use andiron_engine::{Caller, FileMethod, FilePermit};
use andiron_protocol::{CommitBody, InputError, Precondition, Write, WriteKind};

use crate::embedded::{embed, embedded_key, is_embedded};
use crate::files::{ATTEMPTS_MAX, is_conflict, key_of, key_write};
use crate::links::account_of;
use crate::upload::{Bounds, judge_arrived};
use crate::usage::Accounting;
use crate::{FileName, Files, FilesError, Guard, Published, StoredFile};

/// Files that are deleted by one request.
pub const DELETED_MAX: usize = 100;

/// Whether the file stays where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// It does: `get` of it and `create` of the copy are asked.
    Copy,
    /// It does not: `delete` of it is asked too.
    Move,
}

impl Files {
    /// Copies or moves a file. The condition is about the file that is at the new place.
    ///
    /// # Errors
    /// If the rules deny a part of it, there is no such file, the condition does not hold, or there is no room.
    pub async fn transfer(
        &self,
        caller: &Caller,
        transfer: Transfer,
        from: &FileName,
        to: &FileName,
        guard: &Guard,
    ) -> Result<Published, FilesError> {
        if from == to {
            return Err(InputError::new("a file is copied and moved to another place")
                .in_field("to")
                .into());
        }
        let bounds = self.bounds(account_of(caller), to, None)?;
        let mut copied: Option<(StoredFile, String)> = None;
        let mut embedded = None;
        let mut queue = None;
        for _ in 0..ATTEMPTS_MAX {
            let (source, permit) = self.judge_source(caller, transfer, from)?;
            let before = self.find(to)?;
            let mut record = source.record.clone();
            record.name = to.clone();
            let permit = permit.and(judge_arrived(self, caller, &record, before.as_ref())?);
            guard.check(before.as_ref())?;
            self.check_bounds(&bounds, &record)?;
            let mut writes = match transfer {
                Transfer::Copy => {
                    record.account.clone_from(&bounds.account);
                    record.key = match copied.take() {
                        Some((same, key)) if same == source => key,
                        other => {
                            self.forget_copy(other).await;
                            let (key, bytes) = self.copy_bytes(&source).await?;
                            embedded = bytes;
                            key
                        }
                    };
                    copied = Some((source.clone(), record.key.clone()));
                    vec![Write {
                        path: from.document()?,
                        kind: WriteKind::Verify,
                        precondition: Precondition::Version(source.version),
                    }]
                }
                Transfer::Move => vec![Write {
                    path: from.document()?,
                    kind: WriteKind::Delete,
                    precondition: Precondition::Version(source.version),
                }],
            };
            let now = self.engine().now();
            record.generation = now.as_micros();
            record.metageneration = 1;
            record.updated = now;
            if let Some(before) = &before {
                record.generation = record.generation.max(before.record.generation + 1);
                writes.push(key_write(&before.record.key, to, Some(now))?);
            }
            if transfer == Transfer::Copy {
                record.time_created = now;
            }
            writes.extend(key_of(&record)?);
            writes.extend(embedded.clone());
            let going = before.iter().map(|file| &file.record);
            let going = going.chain((transfer == Transfer::Move).then_some(&source.record));
            let accounted = self.account_for(&Accounting {
                going: going.collect(),
                coming: vec![&record],
                ..Accounting::default()
            })?;
            writes.extend(accounted.writes);
            let permit = permit.below(accounted.ceilings);
            match self.commit(&record, before.as_ref(), permit, writes).await {
                Ok(version) => {
                    return Ok(Published {
                        file: StoredFile { record, version },
                        is_new: before.is_none(),
                    });
                }
                Err(error) if is_conflict(&error) => self.overtaken(&mut queue).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.forget_copy(copied).await;
        Err(FilesError::Contended)
    }

    /// Deletes files of the same or several buckets, all or none; says how many there were.
    ///
    /// # Errors
    /// If the rules deny one of them, or there are too many.
    pub async fn delete_all(&self, caller: &Caller, names: &[FileName]) -> Result<usize, FilesError> {
        if names.is_empty() || names.len() > DELETED_MAX {
            return Err(
                InputError::new(format!("1 to {DELETED_MAX} files are deleted at once"))
                    .in_field("delete")
                    .into(),
            );
        }
        let mut queue = None;
        for _ in 0..ATTEMPTS_MAX {
            let mut permit = FilePermit::default();
            let mut found: Vec<StoredFile> = Vec::new();
            for name in names {
                let before = self.find(name)?;
                permit = permit.and(self.judge(caller, FileMethod::Delete, name, before.as_ref(), None)?);
                found.extend(
                    before.filter(|file| found.iter().all(|known| known.record.name != file.record.name)),
                );
            }
            if found.is_empty() {
                return Ok(0);
            }
            let mut writes = Vec::new();
            for file in &found {
                let name = &file.record.name;
                writes.push(Write {
                    path: name.document()?,
                    kind: WriteKind::Delete,
                    precondition: Precondition::Version(file.version),
                });
                writes.push(key_write(&file.record.key, name, Some(self.engine().now()))?);
            }
            let accounted = self.account_for(&Accounting {
                going: found.iter().map(|file| &file.record).collect(),
                ..Accounting::default()
            })?;
            writes.extend(accounted.writes);
            let body = CommitBody {
                writes,
                ..CommitBody::default()
            };
            match self.engine().commit_with_permit(permit, body).await {
                Ok(_) => return Ok(found.len()),
                Err(error) if is_conflict(&error) => self.overtaken(&mut queue).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(FilesError::Contended)
    }

    fn judge_source(
        &self,
        caller: &Caller,
        transfer: Transfer,
        from: &FileName,
    ) -> Result<(StoredFile, FilePermit), FilesError> {
        let source = self.find(from)?;
        let is_public = self.bucket(from.bucket())?.public_read;
        let mut permit = FilePermit::default();
        if !is_public {
            permit = self.judge(caller, FileMethod::Get, from, source.as_ref(), None)?;
        }
        if transfer == Transfer::Move {
            permit = permit.and(self.judge(caller, FileMethod::Delete, from, source.as_ref(), None)?);
        }
        match source {
            Some(source) => Ok((source, permit)),
            None => Err(FilesError::NotFound(from.to_string())),
        }
    }

    fn check_bounds(&self, bounds: &Bounds, record: &crate::FileRecord) -> Result<(), FilesError> {
        bounds.check_size(record.size)?;
        self.bucket(record.name.bucket())?
            .check_type(&record.content_type)
    }

    /// Copies the bytes of a file under a fresh key; gives the write that does if they lie in a document.
    async fn copy_bytes(&self, source: &StoredFile) -> Result<(String, Option<Write>), FilesError> {
        let key = self.engine().generate_id();
        if is_embedded(&source.record.key) {
            let key = embedded_key(&key);
            let bytes = embed(&key, self.embedded(&source.record.key)?.into())?;
            return Ok((key, Some(bytes)));
        }
        self.blobs()
            .copy(&source.record.key, &key, source.record.size)
            .await?;
        Ok((key, None))
    }

    async fn forget_copy(&self, copied: Option<(StoredFile, String)>) {
        if let Some((_, key)) = copied
            && !is_embedded(&key)
            && let Err(error) = self.blobs().delete(&key).await
        {
            tracing::debug!(%error, "the bytes of a copy that came to nothing stay until they are collected");
        }
    }
}
