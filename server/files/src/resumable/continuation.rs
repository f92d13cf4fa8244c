//! One request's worth of an upload.

use andiron_engine::Caller;
use andiron_protocol::{FieldPath, InputError, Precondition, Value, Version, Write, WriteKind};

use super::assembling::{Assembling, Waiting};
use super::checksum::Checking;
use super::record::{Part, PartPlace, UploadRecord};
use super::turns::Turn;
use super::{Checksum, Given, PART_BYTES_MAX, PARTS_MAX, ResumableUpload};
use crate::blobs::BlobWriter;
use crate::hashes::Hashes;
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
    way: Way,
    /// What is in the store and not in the upload yet.
    waiting: Vec<Waiting>,
    /// Bytes of the upload, those of this request included.
    came: u64,
}

/// How bytes come into the store.
enum Way {
    /// Into the object that the file is going to be.
    Assembling(Box<Assembling>),
    /// In parts, to be read back.
    Parts {
        growing: Option<Growing>,
        /// Bytes of one part: what the store takes in one request, where that is less than [`PART_BYTES_MAX`].
        part_bytes_max: u64,
    },
}

/// How a file comes of what is there.
enum Ending {
    /// By reading these parts back.
    ReadBack(Vec<Part>, Given),
    /// By the store, once it has been sent what has come last.
    Assembled,
    /// By the store, which has everything.
    Whole,
}

/// A part that is being written.
struct Growing {
    key: String,
    size: u64,
    writer: BlobWriter,
}

/// What has become of an upload by one request.
pub struct Progress {
    /// As it stands now.
    pub upload: ResumableUpload,
}

impl Continuation {
    pub(super) async fn new(
        files: &Files,
        caller: &Caller,
        record: UploadRecord,
        version: Version,
        turn: Turn,
        checksum: Option<Checksum>,
    ) -> Result<Self, FilesError> {
        let way = match Assembling::of(files, &record).await? {
            Some(assembling) => Way::Assembling(Box::new(assembling)),
            None => Way::Parts {
                growing: None,
                part_bytes_max: files.blobs().whole_bytes_max().min(PART_BYTES_MAX),
            },
        };
        Ok(Self {
            bounds: files.bounds(None, &record.name, None)?,
            way,
            files: files.clone(),
            caller: caller.clone(),
            came: record.offset,
            record,
            version,
            turn,
            checking: checksum.map(Checking::new),
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
            let taken = match &mut self.way {
                Way::Assembling(assembling) => assembling.collect(rest).await?,
                Way::Parts {
                    growing,
                    part_bytes_max,
                } => {
                    let growing = growing.get_or_insert_with(|| {
                        let key = self.record.id.part_key(&self.files.engine().generate_id());
                        Growing {
                            writer: self.files.blobs().write(&key),
                            key,
                            size: 0,
                        }
                    });
                    let room = usize::try_from(*part_bytes_max - growing.size).unwrap_or(usize::MAX);
                    let now = &rest[..rest.len().min(room)];
                    growing.writer.write(now).await?;
                    growing.size += now.len() as u64;
                    now.len()
                }
            };
            if taken == 0 {
                self.end_part().await?;
                // What has a checksum is taken in once that is known to hold.
                if self.checking.is_none() {
                    self.take_in().await?;
                }
            }
            self.came += taken as u64;
            rest = &rest[taken..];
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
        if let Way::Assembling(_) = self.way {
            return self.end_by(Ending::Assembled).await;
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

    /// Publishes the file of these parts and of what has come now.
    pub(super) async fn finish_of(
        mut self,
        mut parts: Vec<Part>,
        given: Given,
    ) -> Result<Progress, FilesError> {
        self.end_part().await?;
        parts.extend(self.waiting.iter().map(Waiting::part).cloned());
        self.end_by(Ending::ReadBack(parts, given)).await
    }

    /// Publishes the file of which the store has everything.
    pub(super) async fn finish_whole(self) -> Result<Progress, FilesError> {
        self.end_by(Ending::Whole).await
    }

    /// Ends the upload if the file can be published in this way. It goes on if nobody waits for it any more.
    async fn end_by(mut self, ending: Ending) -> Result<Progress, FilesError> {
        let ending = tokio::spawn(async move {
            let published = match ending {
                Ending::ReadBack(parts, given) => self.publish(parts, given).await,
                Ending::Assembled => self.publish_assembled().await,
                Ending::Whole => self.publish_whole().await,
            };
            match published {
                Ok(published) => {
                    self.record.offset = self.came;
                    self.record.is_done = true;
                    // The file is there. What cannot be removed now is removed when the upload expires.
                    self.discard().await;
                    if let Some(assembly) = &self.record.assembly {
                        let owner = self.record.id.as_str();
                        self.files.blobs().settle(&assembly.key, owner).await;
                    }
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
            let mut bytes = part.read(&self.files).await?;
            while let Some(bytes) = bytes.next().await? {
                upload.write(&bytes).await?;
            }
        }
        let mut others = given.writes;
        others.push(self.moved_to(size, 0)?);
        upload.finish_with(others).await
    }

    /// Publishes what has been sent to the store in parts, with what has come last; what is not even one part goes there as
    /// any other file.
    async fn publish_assembled(&mut self) -> Result<Published, FilesError> {
        self.await_part().await?;
        let Way::Assembling(assembling) = &mut self.way else {
            return Err(FilesError::Internal("this upload is not put together".to_owned()));
        };
        self.record.size = Some(self.came);
        let rooms = vec![self.record.room(self.record.reserved)];
        let request = self.record.to_request();
        let Some(assembly) = &self.record.assembly else {
            let mut upload = self.files.begin_reserved_upload(&self.caller, request, rooms)?;
            assembling.pour_into(&mut upload).await?;
            let end = self.moved_to(self.came, 0)?;
            return upload.finish_with(vec![end]).await;
        };
        // What does not pass is as if the last bytes had not come: others may.
        let key = assembly.key.clone();
        let _ = self
            .files
            .arrived_upload(&self.caller, request, rooms, key, assembling.hashes())?
            .check()?;
        if assembling.has_rest() {
            self.send_part().await?;
            self.await_part().await?;
        }
        // All but the last, so that there is one to be taken in with that everything is there.
        let last = self.waiting.pop();
        self.take_in().await?;
        self.waiting.extend(last);
        self.take_in_whole().await?;
        self.publish_whole().await
    }

    /// Takes in that the store has everything. The offset stays where it is until there is a file.
    async fn take_in_whole(&mut self) -> Result<(), FilesError> {
        let mut record = self.record.clone();
        let mut writes = Vec::new();
        for waiting in &self.waiting {
            waiting.apply(&mut record);
            writes.extend(waiting.writes(&record)?);
        }
        record.parts += self.waiting.len() as u64;
        record.expires = self.files.upload_expires();
        if let Some(assembly) = &mut record.assembly {
            assembly.is_whole = true;
        }
        writes.push(Write {
            path: record.id.document()?,
            kind: WriteKind::Update {
                fields: standing(&record)?,
                transforms: Vec::new(),
            },
            precondition: Precondition::Version(self.version),
        });
        self.version = self
            .files
            .commit_accounted(writes, &Accounting::default())
            .await?;
        self.record = record;
        for waiting in std::mem::take(&mut self.waiting) {
            waiting.clean_up(&self.files).await;
        }
        Ok(())
    }

    /// Has the store put its parts together, and publishes the file.
    async fn publish_whole(&mut self) -> Result<Published, FilesError> {
        let (Some(assembly), Some(hashes)) = (self.record.assembly.clone(), &self.record.hashes) else {
            return Err(FilesError::Internal("this upload is not put together".to_owned()));
        };
        let hashes = Hashes::from_bytes(hashes).ok_or(FilesError::UploadExpired)?;
        self.came = hashes.size;
        self.record.size = Some(self.came);
        let rooms = vec![self.record.room(self.record.reserved)];
        let request = self.record.to_request();
        let checked = self
            .files
            .arrived_upload(&self.caller, request, rooms, assembly.key.clone(), hashes)?
            .check()?;
        let mut parts = Vec::new();
        for part in self.files.parts_of(&self.record.id).await? {
            match part.place {
                PartPlace::Within(id) => parts.push(id),
                PartPlace::Own(_) => {
                    return Err(FilesError::Internal(format!(
                        "the upload `{}` is whole and has a piece besides",
                        self.record.id
                    )));
                }
            }
        }
        self.files
            .blobs()
            .complete(&assembly.key, &assembly.id, parts, self.came)
            .await?;
        checked.finish(vec![self.moved_to(self.came, 0)?]).await
    }

    async fn keep(mut self) -> Result<Progress, FilesError> {
        self.end_part().await?;
        self.await_part().await?;
        if let Way::Assembling(assembling) = &mut self.way {
            let piece = assembling.put_aside(&self.record).await?;
            self.waiting.extend(piece);
        }
        self.take_in().await?;
        Ok(self.progress(None))
    }

    /// Makes the part last that grows, or sends the one that is complete.
    async fn end_part(&mut self) -> Result<(), FilesError> {
        match &mut self.way {
            Way::Assembling(assembling) => {
                if assembling.is_part_complete() {
                    self.await_part().await?;
                    self.send_part().await?;
                }
            }
            Way::Parts { growing, .. } => {
                if let Some(Growing { key, size, writer }) = growing.take() {
                    writer.finish().await?;
                    let start = self.came - size;
                    self.waiting.push(Waiting::part_of_its_own(key, size, start));
                }
            }
        }
        Ok(())
    }

    /// Sends the part that has been collected, into an object that is begun for the first. The object is in the upload's
    /// document before anything is sent, so whoever removes the upload knows of it.
    async fn send_part(&mut self) -> Result<(), FilesError> {
        let Way::Assembling(assembling) = &mut self.way else {
            return Ok(());
        };
        let assembly = match &self.record.assembly {
            Some(assembly) => assembly,
            None => {
                let begun = assembling.begin(&self.record).await?;
                let write = Write {
                    path: self.record.id.document()?,
                    kind: WriteKind::Update {
                        fields: vec![("assembly".parse::<FieldPath>()?, begun.to_value())],
                        transforms: Vec::new(),
                    },
                    precondition: Precondition::Version(self.version),
                };
                self.version = self
                    .files
                    .commit_accounted(vec![write], &Accounting::default())
                    .await?;
                self.record.assembly.insert(begun)
            }
        };
        assembling.send(assembly, self.turn.clone()).await
    }

    /// Waits for the part that is being sent.
    async fn await_part(&mut self) -> Result<(), FilesError> {
        if let Way::Assembling(assembling) = &mut self.way {
            self.waiting.extend(assembling.arrival().await?);
        }
        Ok(())
    }

    /// Moves the offset over the parts that wait.
    async fn take_in(&mut self) -> Result<(), FilesError> {
        while !self.waiting.is_empty() {
            let taken = self.waiting.len().min(PARTS_AT_ONCE);
            if self.record.parts + taken as u64 > PARTS_MAX {
                return Err(InputError::new(format!(
                    "the upload has come in more than {PARTS_MAX} pieces; send larger ones"
                ))
                .into());
            }
            let before = self.record.clone();
            match self.take_in_first(taken).await {
                Ok(()) => {}
                Err(error) => {
                    self.record = before;
                    return Err(error);
                }
            }
            for waiting in self.waiting.drain(..taken) {
                waiting.clean_up(&self.files).await;
            }
        }
        Ok(())
    }

    /// Commits what waits first, this many; the record is as it is then.
    async fn take_in_first(&mut self, taken: usize) -> Result<(), FilesError> {
        let mut offset = self.record.offset;
        let mut parts = Vec::with_capacity(taken + 1);
        for waiting in &self.waiting[..taken] {
            parts.extend(waiting.writes(&self.record)?);
            waiting.apply(&mut self.record);
            offset += waiting.size();
        }
        self.record.parts += taken as u64;
        self.record.expires = self.files.upload_expires();
        // One that has not told its size has room as far as it has come.
        let needed = self
            .record
            .size
            .unwrap_or(offset)
            .saturating_sub(self.record.replaces);
        let reserved = needed.max(self.record.reserved);
        let mut writes = vec![self.moved_to(offset, reserved)?];
        writes.append(&mut parts);
        let more = self.record.room(reserved - self.record.reserved);
        let accounting = Accounting {
            reserved: Some(&more),
            ..Accounting::default()
        };
        self.version = self.files.commit_accounted(writes, &accounting).await?;
        self.record.reserved = reserved;
        self.record.offset = offset;
        Ok(())
    }

    /// The write that moves the offset, if the upload is as it was when this request began.
    fn moved_to(&self, offset: u64, reserved: u64) -> Result<Write, FilesError> {
        let field = |name: &str| name.parse::<FieldPath>();
        let mut fields = standing(&self.record)?;
        fields.extend([
            (field("offset")?, Value::Integer(signed(offset))),
            (field("reserved")?, Value::Integer(signed(reserved))),
        ]);
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
        if let Way::Parts { growing, .. } = &mut self.way {
            *growing = None;
        }
        for waiting in std::mem::take(&mut self.waiting) {
            waiting.discard(&self.files).await;
        }
    }

    fn progress(&self, published: Option<Published>) -> Progress {
        Progress {
            upload: self.record.to_upload(published),
        }
    }
}

/// What the document says of how far the store is with an upload.
fn standing(record: &UploadRecord) -> Result<Vec<(FieldPath, Value)>, FilesError> {
    let field = |name: &str| name.parse::<FieldPath>();
    let mut fields = vec![
        (field("parts")?, Value::Integer(signed(record.parts))),
        (field("expires")?, Value::Timestamp(record.expires)),
    ];
    if let Some(hashes) = &record.hashes {
        fields.push((field("hashes")?, Value::Bytes(hashes.clone())));
    }
    if let Some(assembly) = &record.assembly {
        fields.push((field("assembly")?, assembly.to_value()));
    }
    Ok(fields)
}
