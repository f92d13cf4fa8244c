//! One request's worth of an upload.

use andiron_engine::Caller;
use andiron_protocol::{FieldPath, InputError, Precondition, Value, Version, Write, WriteKind};

use super::checksum::Checking;
use super::record::{Part, UploadRecord};
use super::turns::Turn;
use super::{Checksum, Given, PART_BYTES_MAX, PARTS_MAX, ResumableUpload};
use crate::blobs::BlobWriter;
use crate::upload::Bounds;
use crate::usage::{Accounting, signed};
use crate::{Files, FilesError, Published};

/// Parts that are taken into an upload by one commit.
const PARTS_AT_ONCE: usize = 200;

/// Bytes on their way into an upload. What has not been taken into it when this is dropped is lost.
pub struct Continuation {
    files: Files,
    caller: Caller,
    record: UploadRecord,
    version: Version,
    bounds: Bounds,
    turn: Turn,
    checking: Option<Checking>,
    part: Option<Growing>,
    /// Parts that are on the disk and not in the upload yet.
    waiting: Vec<Part>,
    /// Bytes of one part: what the store takes in one request, where that is less than [`PART_BYTES_MAX`].
    part_bytes_max: u64,
    /// Bytes of the upload, those of this request included.
    came: u64,
}

/// A part that is being written.
struct Growing {
    part: Part,
    writer: BlobWriter,
}

/// What has become of an upload by one request.
pub struct Progress {
    /// As it stands now.
    pub upload: ResumableUpload,
}

impl Continuation {
    pub(super) fn new(
        files: &Files,
        caller: &Caller,
        record: UploadRecord,
        version: Version,
        turn: Turn,
        checksum: Option<Checksum>,
    ) -> Result<Self, FilesError> {
        Ok(Self {
            bounds: files.bounds(None, &record.name, None)?,
            part_bytes_max: files.blobs().whole_bytes_max().min(PART_BYTES_MAX),
            files: files.clone(),
            caller: caller.clone(),
            came: record.offset,
            record,
            version,
            turn,
            checking: checksum.map(Checking::new),
            part: None,
            waiting: Vec::new(),
        })
    }

    /// Completes when another request wants to go on with the upload: then this one should [`break
    /// off`](Continuation::break_off).
    pub async fn wanted(&mut self) {
        self.turn.wanted().await;
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// If they are more than there are to come, or cannot be written. Then what came before them can still be kept.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        let came = self.came + bytes.len() as u64;
        if self.record.size.is_some_and(|size| came > size) {
            return Err(FilesError::NotAsDeclared { what: "size" });
        }
        self.bounds.check_size(came)?;
        if let Some(checking) = &mut self.checking {
            checking.update(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self
                .part
                .as_ref()
                .is_some_and(|part| part.part.size == self.part_bytes_max)
            {
                self.end_part().await?;
                // What has a checksum is taken in once that is known to hold.
                if self.checking.is_none() {
                    self.take_in().await?;
                }
            }
            let growing = match &mut self.part {
                Some(growing) => growing,
                none => {
                    let key = self.record.id.part_key(&self.files.engine().generate_id());
                    none.insert(Growing {
                        writer: self.files.blobs().write(&key),
                        part: Part { key, size: 0 },
                    })
                }
            };
            let room = usize::try_from(self.part_bytes_max - growing.part.size).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(room));
            growing.writer.write(now).await?;
            growing.part.size += now.len() as u64;
            self.came += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Takes in what has come, and publishes the file if that is all of it.
    ///
    /// # Errors
    /// If the checksum does not hold, or what is true of every upload at its end. Then the upload is as it was before the
    /// last of what came.
    pub async fn finish(mut self) -> Result<Progress, FilesError> {
        if self.checking.take().is_some_and(|checking| !checking.holds()) {
            self.discard().await;
            return Err(FilesError::ChecksumDiffers);
        }
        if self.record.is_done || self.record.is_partial || self.record.size != Some(self.came) {
            return self.keep().await;
        }
        let parts = self.files.parts_of(&self.record.id).await?;
        self.finish_of(parts, Given::default()).await
    }

    /// Keeps what has come although there is no more of it: its connection is lost, or another has taken its place. What
    /// has a checksum is not kept.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub async fn break_off(mut self) -> Result<Progress, FilesError> {
        if self.checking.is_some() {
            self.discard().await;
            return Ok(self.progress(None));
        }
        // The end of a file is only kept by publishing it.
        if self.record.size == Some(self.came) && !self.record.is_partial {
            return self.finish().await;
        }
        self.keep().await
    }

    /// Publishes the file of these parts and of what has come now. It goes on if nobody waits for it any more.
    pub(super) async fn finish_of(
        mut self,
        mut parts: Vec<Part>,
        given: Given,
    ) -> Result<Progress, FilesError> {
        self.end_part().await?;
        parts.append(&mut self.waiting.clone());
        let ending = tokio::spawn(async move {
            let published = self.publish(parts, given).await;
            match published {
                Ok(published) => {
                    self.record.offset = self.came;
                    self.record.is_done = true;
                    // The file is there. Parts that cannot be removed now are removed when the upload expires.
                    self.discard().await;
                    if let Err(error) = self.files.remove_parts(&self.record.id).await {
                        tracing::debug!(%error, "the parts of a complete upload stay until it expires");
                    }
                    Ok(self.progress(Some(published)))
                }
                Err(error) => {
                    self.discard().await;
                    Err(error)
                }
            }
        });
        ending
            .await
            .map_err(|error| FilesError::Internal(format!("an upload was not completed: {error}")))?
    }

    async fn publish(&mut self, parts: Vec<Part>, given: Given) -> Result<Published, FilesError> {
        let size: u64 = parts.iter().map(|part| part.size).sum();
        self.record.size = Some(size);
        self.came = size;
        let mut rooms = given.rooms;
        rooms.push(self.record.room(self.record.reserved));
        let request = self.record.to_request();
        let mut upload = self.files.begin_reserved_upload(&self.caller, request, rooms)?;
        for part in parts {
            let mut bytes = self.files.blobs().read(&part.key, 0..part.size).await?;
            while let Some(bytes) = bytes.next().await? {
                upload.write(&bytes).await?;
            }
        }
        let mut others = given.writes;
        others.push(self.moved_to(size, 0, 0)?);
        upload.finish_with(others).await
    }

    async fn keep(mut self) -> Result<Progress, FilesError> {
        self.end_part().await?;
        self.take_in().await?;
        Ok(self.progress(None))
    }

    /// Makes the part that grows last.
    async fn end_part(&mut self) -> Result<(), FilesError> {
        if let Some(growing) = self.part.take() {
            growing.writer.finish().await?;
            self.waiting.push(growing.part);
        }
        Ok(())
    }

    /// Moves the offset over the parts that wait.
    async fn take_in(&mut self) -> Result<(), FilesError> {
        while !self.waiting.is_empty() {
            let taken = self.waiting.len().min(PARTS_AT_ONCE);
            let mut offset = self.record.offset;
            let mut parts = Vec::with_capacity(taken + 1);
            for part in &self.waiting[..taken] {
                parts.push(part.write(&self.record.id, offset)?);
                offset += part.size;
            }
            if self.record.parts + taken as u64 > PARTS_MAX {
                return Err(InputError::new(format!(
                    "the upload has come in more than {PARTS_MAX} pieces; send larger ones"
                ))
                .into());
            }
            self.record.expires = self.files.upload_expires();
            // One that has not told its size has room as far as it has come.
            let needed = self
                .record
                .size
                .unwrap_or(offset)
                .saturating_sub(self.record.replaces);
            let reserved = needed.max(self.record.reserved);
            let mut writes = vec![self.moved_to(offset, taken as u64, reserved)?];
            writes.append(&mut parts);
            let more = self.record.room(reserved - self.record.reserved);
            let accounting = Accounting {
                reserved: Some(&more),
                ..Accounting::default()
            };
            self.version = self.files.commit_accounted(writes, &accounting).await?;
            self.record.reserved = reserved;
            self.record.offset = offset;
            self.record.parts += taken as u64;
            self.waiting.drain(..taken);
        }
        Ok(())
    }

    /// The write that moves the offset, if the upload is as it was when this request began.
    fn moved_to(&self, offset: u64, parts: u64, reserved: u64) -> Result<Write, FilesError> {
        let field = |name: &str| name.parse::<FieldPath>();
        let mut fields = vec![
            (field("offset")?, Value::Integer(signed(offset))),
            (field("parts")?, Value::Integer(signed(self.record.parts + parts))),
            (field("reserved")?, Value::Integer(signed(reserved))),
            (field("expires")?, Value::Timestamp(self.record.expires)),
        ];
        if let Some(size) = self.record.size {
            fields.push((field("size")?, Value::Integer(signed(size))));
            if size == offset && !self.record.is_partial {
                fields.push((field("done")?, Value::Boolean(true)));
            }
        }
        Ok(Write {
            path: self.record.id.document()?,
            kind: WriteKind::Update {
                fields,
                transforms: Vec::new(),
            },
            precondition: Precondition::Version(self.version),
        })
    }

    /// Removes what was not taken in.
    async fn discard(&mut self) {
        self.part = None;
        for part in std::mem::take(&mut self.waiting) {
            if let Err(error) = self.files.blobs().delete(&part.key).await {
                tracing::debug!(%error, "a part that was not taken in stays until its upload expires");
            }
        }
    }

    fn progress(&self, published: Option<Published>) -> Progress {
        Progress {
            upload: self.record.to_upload(published),
        }
    }
}
