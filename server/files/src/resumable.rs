//! Uploads in several requests: begun, gone on with after whatever came between, and published at their end.
//!
//! What has come is kept as *parts*, blobs of at most [`PART_BYTES_MAX`] under fresh keys. A commit takes a part into the
//! upload and moves its offset on, so the offset that is told is never beyond what is on the disk. The part that completes
//! an upload is not taken in so: all parts are read back through an ordinary [`Upload`](crate::Upload), which hashes, sniffs
//! and judges them, and the commit that publishes the file is the one that moves the offset to the end. Hence an upload that
//! is told to be complete is a file that is there.
//!
//! In a store on the network what is large is not read back: see `assembling`.
//!
//! What an upload is to bring is reserved when it says so, by the commit that begins it or goes on with it, and given back by
//! the commit that publishes or removes it.
//!
//! Only its maker and administrators may go on with an upload; to everybody else it does not exist. Parts of uploads that
//! nobody goes on with are removed, by [`Files::collect_garbage`].

mod assembling;
mod checksum;
mod cleaning;
mod continuation;
mod record;
mod turns;

pub use checksum::{Checksum, ChecksumAlgorithm};
pub use continuation::{Continuation, Progress};
pub use record::UploadId;
pub(crate) use record::{UPLOADS, upload_of_part};
pub(crate) use turns::Turns;

use std::collections::BTreeSet;

use andiron_engine::{Caller, FilePermit};
use andiron_protocol::{
    CommitBody, FieldPath, FieldRef, Filter, Operator, Precondition, Query, Source, Timestamp, Value,
    Version, Write, WriteKind, data_from_json,
};

use crate::links::account_of;
use crate::usage::{Accounting, Reservation};
use crate::{Files, FilesError, Published, UploadRequest};
use record::UploadRecord;

/// Bytes of one part. What a crash of the server can take of an upload is less than this, and less than two of the parts that
/// a store on the network takes.
pub const PART_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Parts of one upload: more than the largest file needs that comes in pieces of a sensible size.
pub const PARTS_MAX: u64 = 20_000;
/// Uploads that may be put together to one file.
pub const CONCATENATED_MAX: usize = 100;

/// What is to be uploaded in several requests.
pub struct ResumableRequest {
    /// The file that is to come of it.
    pub upload: UploadRequest,
    /// Whether it is to become part of a file only, by [`Files::concatenate`].
    pub is_partial: bool,
    /// What its maker said of it, to be told again as it was said.
    pub note: String,
}

/// An upload as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumableUpload {
    /// What it is called.
    pub id: UploadId,
    /// Bytes that are there.
    pub offset: u64,
    /// Bytes that there will be, if that is known.
    pub size: Option<u64>,
    /// Whether it is to become part of a file only.
    pub is_partial: bool,
    /// What its maker said of it.
    pub note: String,
    /// When it is removed unless somebody goes on with it.
    pub expires: Timestamp,
    /// The file, if this is the call that has published it.
    pub published: Option<Published>,
}

/// Where the room of an upload comes from.
#[derive(Clone, Copy)]
enum Room<'r> {
    /// It is kept for it from now on.
    OfItsOwn,
    /// Others have kept it, and give it when the file is there.
    Given(&'r [Reservation]),
}

/// What partial uploads give to the file that they become part of.
#[derive(Default)]
struct Given {
    rooms: Vec<Reservation>,
    /// The writes that say so: each upload gives its room once.
    writes: Vec<Write>,
}

impl Given {
    fn add(&mut self, record: &UploadRecord, version: Version) -> Result<(), FilesError> {
        self.rooms.push(record.room(record.reserved));
        self.writes.push(Write {
            path: record.id.document()?,
            kind: WriteKind::Update {
                fields: vec![("reserved".parse::<FieldPath>()?, Value::Integer(0))],
                transforms: Vec::new(),
            },
            precondition: Precondition::Version(version),
        });
        Ok(())
    }
}

impl Files {
    /// Begins an upload, if the rules let the caller make a file as it is declared. One of no bytes is published at once.
    ///
    /// # Errors
    /// If the request is wrong, the rules deny it, a condition does not hold, or the caller has too many unfinished ones.
    pub async fn create_resumable(
        &self,
        caller: &Caller,
        request: ResumableRequest,
    ) -> Result<ResumableUpload, FilesError> {
        let is_empty = request.upload.size == Some(0) && !request.is_partial;
        let (record, version) = self.create_record(caller, request, Room::OfItsOwn).await?;
        if !is_empty {
            return Ok(record.to_upload(None));
        }
        let turn = self.turns().take(&record.id).await?;
        let continuation = Continuation::new(self, caller, record, version, turn, None).await?;
        let progress = continuation.finish().await?;
        Ok(progress.upload)
    }

    /// Puts complete partial uploads together to a file.
    ///
    /// # Errors
    /// If one of them is not complete, not the caller's or for another file; and as for every upload.
    pub async fn concatenate(
        &self,
        caller: &Caller,
        mut request: ResumableRequest,
        partial: &[UploadId],
    ) -> Result<ResumableUpload, FilesError> {
        if partial.is_empty() || partial.len() > CONCATENATED_MAX {
            return Err(andiron_protocol::InputError::new(format!(
                "a file is put together of 1 to {CONCATENATED_MAX} uploads"
            ))
            .into());
        }
        // In one order, whatever order they are named in: two requests for the same uploads do not wait for each other.
        let ordered: BTreeSet<_> = partial.iter().collect();
        if ordered.len() < partial.len() {
            return Err(andiron_protocol::InputError::new("an upload is named twice").into());
        }
        let mut turns = Vec::with_capacity(partial.len());
        for id in ordered {
            // Before waiting for anybody, and again afterwards.
            let _ = self.find_upload(caller, id)?;
            turns.push(self.turns().take(id).await?);
        }
        let mut parts = Vec::new();
        let mut given = Given::default();
        let mut size = 0;
        for id in partial {
            let (record, version) = self.find_upload(caller, id)?;
            let is_complete = record.is_partial && record.size == Some(record.offset);
            if !is_complete || record.name != request.upload.name {
                return Err(FilesError::NotPartial(id.to_string()));
            }
            size += record.offset;
            given.add(&record, version)?;
            parts.extend(self.parts_of(id).await?);
        }
        request.upload.size = Some(size);
        request.is_partial = false;
        let (record, version) = self
            .create_record(caller, request, Room::Given(&given.rooms))
            .await?;
        let turn = self.turns().take(&record.id).await?;
        let continuation = Continuation::new(self, caller, record, version, turn, None).await?;
        let progress = continuation.finish_of(parts, given).await?;
        for id in partial {
            // The file is there; what cannot be removed now is removed when it expires.
            if let Err(error) = self.remove_upload(id).await {
                tracing::debug!(%error, "an upload that became part of a file stays until it expires");
            }
        }
        Ok(progress.upload)
    }

    /// How far an upload is. Whoever is still sending to it is stopped: somebody asks because that connection is lost.
    ///
    /// # Errors
    /// If there is none that is the caller's, or it has expired.
    pub async fn resumable(&self, caller: &Caller, id: &UploadId) -> Result<ResumableUpload, FilesError> {
        // Before waiting for anybody, and again afterwards.
        let _ = self.find_upload(caller, id)?;
        let turn = self.turns().take(id).await?;
        let (record, version) = self.find_upload(caller, id)?;
        if !record.is_to_be_published() {
            return Ok(record.to_upload(None));
        }
        let upload = record.to_upload(None);
        match self.publish_whole(caller, record, version, turn).await {
            Ok(published) => Ok(published),
            Err(error) => {
                // Whoever goes on with it is told.
                tracing::debug!(%error, "an upload of which everything is there could not be published");
                Ok(upload)
            }
        }
    }

    /// Brings an upload to its end of which everything is there: a process was killed, or something was in the way, when the
    /// file was to be published.
    async fn publish_whole(
        &self,
        caller: &Caller,
        record: UploadRecord,
        version: Version,
        turn: turns::Turn,
    ) -> Result<ResumableUpload, FilesError> {
        let continuation = Continuation::new(self, caller, record, version, turn, None).await?;
        Ok(continuation.finish_whole().await?.upload)
    }

    /// Goes on with an upload at an offset. The size is told where it was not known before.
    ///
    /// # Errors
    /// If there is none that is the caller's, it is at another offset, or the size cannot be.
    pub async fn continue_resumable(
        &self,
        caller: &Caller,
        id: &UploadId,
        offset: u64,
        size: Option<u64>,
        checksum: Option<Checksum>,
    ) -> Result<Continuation, FilesError> {
        let _ = self.find_upload(caller, id)?;
        let turn = self.turns().take(id).await?;
        let (mut record, mut version) = self.find_upload(caller, id)?;
        if record.is_to_be_published() {
            let offset = self.publish_whole(caller, record, version, turn).await?.offset;
            return Err(FilesError::OtherOffset { offset });
        }
        if record.offset != offset {
            return Err(FilesError::OtherOffset {
                offset: record.offset,
            });
        }
        if let Some(size) = size {
            if record.size.is_some_and(|known| known != size) || size < offset {
                return Err(FilesError::NotAsDeclared { what: "size" });
            }
            record.size = Some(size);
        }
        let bounds = self.bounds(None, &record.name, None)?;
        bounds.check_size(record.size.unwrap_or_default())?;
        if record.needed() > record.reserved {
            version = self.reserve(&mut record, version).await?;
        }
        Continuation::new(self, caller, record, version, turn, checksum).await
    }

    /// Ends an upload and removes what has come of it. A file that was published stays.
    ///
    /// # Errors
    /// If there is none that is the caller's.
    pub async fn terminate_resumable(&self, caller: &Caller, id: &UploadId) -> Result<(), FilesError> {
        let _ = self.find_upload(caller, id)?;
        let _turn = self.turns().take(id).await?;
        let _ = self.find_upload(caller, id)?;
        self.remove_upload(id).await
    }

    async fn create_record(
        &self,
        caller: &Caller,
        mut request: ResumableRequest,
        room: Room<'_>,
    ) -> Result<(UploadRecord, Version), FilesError> {
        let mut bounds = self.bounds(account_of(caller), &request.upload.name, None)?;
        if let Room::Given(rooms) = room {
            bounds.reserved = rooms.to_vec();
        }
        let before = self.admit(caller, &mut request.upload, &bounds)?;
        if !caller.is_admin() {
            self.check_unfinished(caller).await?;
        }
        let mut random = [0; 16];
        self.engine().fill_random(&mut random);
        // The parts of a file come beside what is there, until they are put together.
        let replaces = if request.is_partial {
            0
        } else {
            bounds.in_place_of(before.as_ref())
        };
        let mut record = UploadRecord {
            id: UploadId::new(&self.engine().generate_id(), random),
            owner: caller.identity(),
            offset: 0,
            parts: 0,
            hashes: None,
            assembly: None,
            account: bounds.account,
            reserved: 0,
            replaces,
            is_partial: request.is_partial,
            is_done: false,
            note: request.note,
            // Whatever the condition was, what it held of is what has to be there still.
            seen: (!request.upload.guard.is_none()).then(|| before.map(|file| file.version)),
            name: request.upload.name,
            size: request.upload.size,
            content_type: request.upload.content_type,
            settings: request.upload.settings,
            digests: request.upload.digests,
            expires: self.upload_expires(),
        };
        if let Room::OfItsOwn = room {
            record.reserved = record.needed();
        }
        let write = Write {
            path: record.id.document()?,
            kind: WriteKind::Create(record.to_map().into()),
            precondition: Precondition::None,
        };
        let room = record.room(record.reserved);
        let accounting = Accounting {
            reserved: Some(&room),
            ..Accounting::default()
        };
        let version = self.commit_accounted(vec![write], &accounting).await?;
        Ok((record, version))
    }

    /// Commits writes together with what they do to the figures, if there is room for it.
    async fn commit_accounted(
        &self,
        mut writes: Vec<Write>,
        accounting: &Accounting<'_>,
    ) -> Result<Version, FilesError> {
        let accounted = self.account_for(accounting)?;
        writes.extend(accounted.writes);
        let body = CommitBody {
            writes,
            ..CommitBody::default()
        };
        let permit = FilePermit::default().below(accounted.ceilings);
        Ok(self.engine().commit_with_permit(permit, body).await?.version)
    }

    /// Keeps room for an upload that tells its size only now.
    async fn reserve(&self, record: &mut UploadRecord, version: Version) -> Result<Version, FilesError> {
        let more = record.room(record.needed() - record.reserved);
        record.reserved = record.needed();
        let write = Write {
            path: record.id.document()?,
            kind: WriteKind::Set(record.to_map().into()),
            precondition: Precondition::Version(version),
        };
        let accounting = Accounting {
            reserved: Some(&more),
            ..Accounting::default()
        };
        self.commit_accounted(vec![write], &accounting).await
    }

    fn read_upload(&self, id: &UploadId) -> Result<Option<(UploadRecord, Version)>, FilesError> {
        let Some(document) = self.engine().get(&Caller::System, &id.document()?)? else {
            return Ok(None);
        };
        let map = data_from_json(document.data.as_bytes())
            .map_err(|error| FilesError::Internal(format!("the upload `{id}` cannot be read: {error}")))?;
        Ok(Some((UploadRecord::from_map(&map, id)?, document.version)))
    }

    /// The upload of this id, if it is the caller's to go on with.
    fn find_upload(&self, caller: &Caller, id: &UploadId) -> Result<(UploadRecord, Version), FilesError> {
        let (record, version) = self.read_upload(id)?.ok_or(FilesError::NoSuchUpload)?;
        if record.owner != caller.identity() && !caller.is_admin() {
            return Err(FilesError::NoSuchUpload);
        }
        if record.expires <= self.engine().now() {
            return Err(FilesError::UploadExpired);
        }
        Ok((record, version))
    }

    async fn check_unfinished(&self, caller: &Caller) -> Result<(), FilesError> {
        let uploads_max = self.options().uploads_unfinished_max;
        let filter = Filter::And(vec![
            Filter::compare(
                FieldRef::Field("owner".parse()?),
                Operator::Equal,
                Value::from(caller.identity()),
            )?,
            Filter::compare(
                FieldRef::Field("done".parse()?),
                Operator::Equal,
                Value::Boolean(false),
            )?,
        ]);
        let query = Query {
            filter: Some(filter),
            limit: Some(uploads_max),
            ..Query::all(Source::Collection(UPLOADS.parse()?))
        };
        let found = self.query(query).await?;
        if found.len() >= uploads_max as usize {
            return Err(FilesError::TooManyUploads { uploads_max });
        }
        Ok(())
    }

    /// When an upload expires that was gone on with now.
    fn upload_expires(&self) -> Timestamp {
        let idle = i64::try_from(self.options().upload_idle_max.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros_clamped(self.engine().now().as_micros().saturating_add(idle))
    }
}
