//! Uploads: bytes hashed and written as they come, then published by a commit.

mod publish;

use andiron_engine::{Caller, FileMethod, FileOperation};
use andiron_protocol::{Map, Value, Write};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use crate::blobs::BlobWriter;
use crate::content_type::sniff;
use crate::embedded::embedded_key;
use crate::files::{Guard, Published, StoredFile};
use crate::hashes::Hashes;
use crate::links::account_of;
use crate::record::settings_map;
use crate::usage::Reservation;
use crate::{ContentType, FileName, FileRecord, FileSettings, Files, FilesError, LinkGrant, LinkMethod};

pub(crate) use self::publish::{Checked, judge_arrived};

/// Metadata that nobody knows before the bytes have come.
const UNKNOWN_BEFORE: &[&str] = &["md5Hash", "crc32c", "size"];

/// Digests that the bytes must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// MD5.
    pub md5: Option<[u8; 16]>,
}

/// What is said of a file before its bytes come.
pub struct UploadRequest {
    /// What it is to be called.
    pub name: FileName,
    /// How many bytes will come, if that is known.
    pub size: Option<u64>,
    /// What kind of bytes they are said to be.
    pub content_type: Option<ContentType>,
    /// What its owner says of it.
    pub settings: FileSettings,
    /// Digests that the bytes must have.
    pub digests: Digests,
    /// What must hold of the file that is there.
    pub guard: Guard,
}

impl UploadRequest {
    /// A file of this name, of which nothing is said.
    pub fn of(name: FileName) -> Self {
        Self {
            name,
            size: None,
            content_type: None,
            settings: FileSettings::default(),
            digests: Digests::default(),
            guard: Guard::none(),
        }
    }
}

/// An upload under way. What is dropped before it is finished leaves nothing.
pub struct Upload {
    files: Files,
    caller: Caller,
    request: UploadRequest,
    bounds: Bounds,
    id: String,
    arrived: Arrived,
    hashes: Hashes,
}

/// Where the bytes are that have come.
enum Arrived {
    /// Here, as long as they are few enough for a document.
    Few(Vec<u8>),
    /// On their way into the store.
    Many(BlobWriter),
    /// Brought into the store by somebody else, under the upload's id.
    Elsewhere,
}

/// What holds of an upload beside the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    /// The account that it counts to.
    pub(crate) account: Option<String>,
    /// Bytes of the file.
    pub(crate) bytes_max: u64,
    /// The type that a link is bound to.
    pub(crate) content_type: Option<ContentType>,
    /// Room that it has already, and gives back when it is there.
    pub(crate) reserved: Vec<Reservation>,
}

impl Bounds {
    /// Bytes of the file before that count to the same account, and go when this one comes.
    pub(crate) fn in_place_of(&self, before: Option<&StoredFile>) -> u64 {
        before
            .filter(|before| before.record.account == self.account)
            .map_or(0, |before| before.record.size)
    }

    pub(crate) fn check_size(&self, size: u64) -> Result<(), FilesError> {
        if size > self.bytes_max {
            return Err(FilesError::TooLarge {
                bytes_max: self.bytes_max,
            });
        }
        Ok(())
    }
}

impl Files {
    /// Begins an upload, if the rules let the caller make a file as it is declared.
    ///
    /// # Errors
    /// If the request is wrong, the rules deny it, a condition does not hold, or there is no room.
    pub fn begin_upload(&self, caller: &Caller, mut request: UploadRequest) -> Result<Upload, FilesError> {
        let bounds = self.bounds(account_of(caller), &request.name, None)?;
        let _ = self.admit(caller, &mut request, &bounds)?;
        Ok(self.upload(caller, request, bounds))
    }

    /// The same of one whose room has been kept for it.
    pub(crate) fn begin_reserved_upload(
        &self,
        caller: &Caller,
        mut request: UploadRequest,
        reserved: Vec<Reservation>,
    ) -> Result<Upload, FilesError> {
        let mut bounds = self.bounds(account_of(caller), &request.name, None)?;
        bounds.reserved = reserved;
        let _ = self.admit(caller, &mut request, &bounds)?;
        Ok(self.upload(caller, request, bounds))
    }

    /// An upload whose room has been kept for it, and whose bytes are put under a key by the caller: these are what was computed
    /// of them.
    pub(crate) fn arrived_upload(
        &self,
        caller: &Caller,
        request: UploadRequest,
        reserved: Vec<Reservation>,
        key: String,
        hashes: Hashes,
    ) -> Result<Upload, FilesError> {
        Ok(Upload {
            id: key,
            arrived: Arrived::Elsewhere,
            hashes,
            ..self.begin_reserved_upload(caller, request, reserved)?
        })
    }

    /// Begins an upload that a link grants. The rules have been asked when it was minted.
    ///
    /// # Errors
    /// If the request is wrong or larger than the link allows, a condition does not hold, or there is no room.
    pub fn begin_linked_upload(
        &self,
        grant: LinkGrant,
        mut request: UploadRequest,
    ) -> Result<Upload, FilesError> {
        debug_assert!(grant.method == LinkMethod::Put && grant.name == request.name);
        let mut bounds = self.bounds(grant.account, &request.name, grant.bytes_max)?;
        if let Some(content_type) = grant.content_type {
            request.content_type = Some(content_type.clone());
            bounds.content_type = Some(content_type);
        }
        let _ = self.admit(&Caller::System, &mut request, &bounds)?;
        Ok(self.upload(&Caller::System, request, bounds))
    }

    fn upload(&self, caller: &Caller, request: UploadRequest, bounds: Bounds) -> Upload {
        Upload {
            files: self.clone(),
            caller: caller.clone(),
            request,
            bounds,
            id: self.engine().generate_id(),
            arrived: Arrived::Few(Vec::new()),
            hashes: Hashes::new(),
        }
    }

    /// What holds of an upload of this name, beside the rules.
    pub(crate) fn bounds(
        &self,
        account: Option<String>,
        name: &FileName,
        bytes_max: Option<u64>,
    ) -> Result<Bounds, FilesError> {
        let of_bucket = self.bucket(name.bucket())?.file_bytes_max;
        let limits = [of_bucket, bytes_max].into_iter().flatten();
        Ok(Bounds {
            account,
            bytes_max: limits.fold(self.options().file_bytes_max, u64::min),
            content_type: None,
            reserved: Vec::new(),
        })
    }

    /// Says whether a caller may upload a file as it is declared, and gives the file that is there.
    pub(crate) fn admit(
        &self,
        caller: &Caller,
        request: &mut UploadRequest,
        bounds: &Bounds,
    ) -> Result<Option<StoredFile>, FilesError> {
        request.settings.check()?;
        let before = self.find(&request.name)?;
        let bucket = request.name.bucket();
        let judge = self.engine().file_judge(caller, bucket.as_str())?;
        let after = judge.asks_rules().then(|| declared_map(request));
        let is_unknown = |name: &&str| after.as_ref().is_some_and(|after| !after.contains_key(*name));
        let unknown: Vec<_> = UNKNOWN_BEFORE.iter().copied().filter(is_unknown).collect();
        let seen = before.as_ref().filter(|_| judge.asks_rules());
        // The commit judges again, by the rules and documents of that moment.
        let _ = judge.decide(FileOperation {
            method: FileMethod::Create,
            bucket: bucket.as_str(),
            name: request.name.name(),
            before: seen.map(StoredFile::to_rules).as_ref(),
            after: after.as_ref(),
            unknown: &unknown,
        })?;
        request.guard.check(before.as_ref())?;
        let settings = self.bucket(bucket)?;
        if let Some(content_type) = &request.content_type {
            settings.check_type(content_type)?;
        }
        if let Some(size) = request.size {
            bounds.check_size(size)?;
            let more = size.saturating_sub(bounds.in_place_of(before.as_ref()));
            self.check_room(
                bucket,
                &settings,
                bounds.account.as_deref(),
                more,
                &bounds.reserved,
            )?;
        }
        Ok(before)
    }
}

impl Upload {
    /// Takes more of the bytes.
    ///
    /// # Errors
    /// If they become more than the limit or than was declared, or cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        self.hashes.update(bytes);
        self.bounds.check_size(self.hashes.size)?;
        if self
            .request
            .size
            .is_some_and(|declared| self.hashes.size > declared)
        {
            return Err(FilesError::NotAsDeclared { what: "size" });
        }
        let few_max = self.files.options().embedded_bytes_max;
        match &mut self.arrived {
            Arrived::Few(few) if few.len() + bytes.len() <= few_max => {
                few.extend_from_slice(bytes);
            }
            Arrived::Few(few) => {
                let few = std::mem::take(few);
                let bytes_max = self.request.size.unwrap_or(self.bounds.bytes_max);
                let mut writer = self.files.blobs().write(&self.id).for_bytes(bytes_max);
                writer.write(&few).await?;
                writer.write(bytes).await?;
                self.arrived = Arrived::Many(writer);
            }
            Arrived::Many(writer) => writer.write(bytes).await?,
            Arrived::Elsewhere => {
                return Err(FilesError::Internal(
                    "the bytes of this upload are not written here".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Publishes the file: from the moment that this returns it is there, and in the place of the one before.
    ///
    /// # Errors
    /// If the bytes are not as declared, the rules deny the file that they make, or somebody else was faster and a
    /// condition does not hold any more. Then the file is as it was before.
    pub async fn finish(self) -> Result<Published, FilesError> {
        self.finish_with(Vec::new()).await
    }

    /// The same in one commit with other writes. If one of those cannot be made, nothing is published.
    pub(crate) async fn finish_with(self, others: Vec<Write>) -> Result<Published, FilesError> {
        self.check()?.finish(others).await
    }

    /// Says whether what has come is what was declared, and allowed. What takes long is still to be done.
    pub(crate) fn check(self) -> Result<Checked, FilesError> {
        let Self {
            files,
            caller,
            request,
            bounds,
            id,
            arrived,
            hashes,
        } = self;
        let sha256: [u8; 32] = hashes.sha256.finalize().into();
        let md5: [u8; 16] = hashes.md5.finalize().into();
        let declared = request.digests;
        for (differs, what) in [
            (request.size.is_some_and(|size| size != hashes.size), "size"),
            (
                declared.sha256.is_some_and(|declared| declared != sha256),
                "SHA-256 digest",
            ),
            (declared.md5.is_some_and(|declared| declared != md5), "MD5 digest"),
        ] {
            if differs {
                return Err(FilesError::NotAsDeclared { what });
            }
        }
        let sniffed = sniff(&hashes.beginning);
        let record = FileRecord {
            name: request.name,
            size: hashes.size,
            content_type: ContentType::resolve(request.content_type.as_ref(), sniffed),
            account: bounds.account.clone(),
            settings: request.settings,
            generation: 0,
            metageneration: 1,
            time_created: files.engine().now(),
            updated: files.engine().now(),
            md5,
            sha256,
            crc32c: hashes.crc32c,
            sniffed: sniffed.to_owned(),
            key: match &arrived {
                Arrived::Few(_) => embedded_key(&id),
                Arrived::Many(_) | Arrived::Elsewhere => id,
            },
        };
        if bounds
            .content_type
            .as_ref()
            .is_some_and(|bound| *bound != record.content_type)
        {
            return Err(FilesError::NotAsDeclared { what: "type" });
        }
        files
            .bucket(record.name.bucket())?
            .check_type(&record.content_type)?;
        // Few bytes come with the commit, which asks by itself. Others are still to be made to last, which takes long.
        if !matches!(arrived, Arrived::Few(_)) {
            let before = files.find(&record.name)?;
            let _ = judge_arrived(&files, &caller, &record, before.as_ref())?;
            request.guard.check(before.as_ref())?;
        }
        Ok(Checked {
            files,
            caller,
            record,
            guard: request.guard,
            reserved: bounds.reserved,
            arrived,
        })
    }
}

/// What rules see of a file before its bytes have come.
pub(crate) fn declared_map(request: &UploadRequest) -> Map {
    let mut map = settings_map(&request.settings);
    map.insert("name".to_owned(), Value::from(request.name.name()));
    map.insert("bucket".to_owned(), Value::from(request.name.bucket().as_str()));
    if let Some(size) = request.size {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        map.insert("size".to_owned(), Value::Integer(size));
    }
    let content_type = match &request.content_type {
        Some(content_type) => content_type.clone(),
        None => ContentType::of(None, b""),
    };
    map.insert("contentType".to_owned(), Value::from(content_type.as_str()));
    if let Some(md5) = request.digests.md5 {
        map.insert("md5Hash".to_owned(), Value::from(STANDARD.encode(md5).as_str()));
    }
    map
}
