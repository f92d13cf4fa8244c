//! Uploads: bytes hashed and written as they come, then published by a commit.

use andiron_engine::{Caller, FileMethod, FileOperation};
use andiron_protocol::{Map, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::blobs::BlobWriter;
use crate::content_type::sniff;
use crate::files::{ATTEMPTS_MAX, Guard, Published, StoredFile, is_conflict, key_write};
use crate::record::settings_map;
use crate::{ContentType, FileName, FileRecord, FileSettings, Files, FilesError, SNIFFED_BYTES};

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

/// An upload under way. What is dropped before it is finished leaves nothing.
pub struct Upload {
    files: Files,
    caller: Caller,
    request: UploadRequest,
    key: String,
    writer: BlobWriter,
    hashes: Hashes,
}

/// What is computed of bytes as they pass.
struct Hashes {
    size: u64,
    sha256: Sha256,
    md5: Md5,
    crc32c: u32,
    beginning: Vec<u8>,
}

impl Hashes {
    fn new() -> Self {
        Self {
            size: 0,
            sha256: Sha256::new(),
            md5: Md5::new(),
            crc32c: 0,
            beginning: Vec::new(),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        let missing = SNIFFED_BYTES.saturating_sub(self.beginning.len());
        self.beginning
            .extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }
}

impl Files {
    /// Begins an upload, if the rules let the caller make a file as it is declared.
    ///
    /// # Errors
    /// If the request is wrong, the rules deny it, or a condition does not hold.
    pub fn begin_upload(&self, caller: &Caller, mut request: UploadRequest) -> Result<Upload, FilesError> {
        request.settings.check()?;
        let bytes_max = self.options().file_bytes_max;
        let before = self.find(&request.name)?;
        let after = declared_map(&request);
        let unknown = UNKNOWN_BEFORE
            .iter()
            .filter(|name| !after.contains_key(**name))
            .copied()
            .collect::<Vec<_>>();
        // The commit judges again, by the rules and documents of that moment.
        let _ = self.engine().file_judge(caller, request.name.bucket().as_str())?.decide(FileOperation {
            method: FileMethod::Create,
            bucket: request.name.bucket().as_str(),
            name: request.name.name(),
            before: before.as_ref().map(StoredFile::to_rules).as_ref(),
            after: Some(&after),
            unknown: &unknown,
        })?;
        request.guard.check(before.as_ref())?;
        if request.size.is_some_and(|size| size > bytes_max) {
            return Err(FilesError::TooLarge { bytes_max });
        }
        let key = self.engine().generate_id();
        Ok(Upload {
            files: self.clone(),
            caller: caller.clone(),
            writer: self.blobs().write(&key),
            request,
            key,
            hashes: Hashes::new(),
        })
    }
}

impl Upload {
    /// Takes more of the bytes.
    ///
    /// # Errors
    /// If they become more than the limit or than was declared, or cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        self.hashes.update(bytes);
        let bytes_max = self.files.options().file_bytes_max;
        if self.hashes.size > bytes_max {
            return Err(FilesError::TooLarge { bytes_max });
        }
        if self
            .request
            .size
            .is_some_and(|declared| self.hashes.size > declared)
        {
            return Err(FilesError::NotAsDeclared { what: "size" });
        }
        self.writer.write(bytes).await
    }

    /// Publishes the file: from the moment that this returns it is there, and in the place of the one before.
    ///
    /// # Errors
    /// If the bytes are not as declared, the rules deny the file that they make, or somebody else was faster and a
    /// condition does not hold any more. Then the file is as it was before.
    pub async fn finish(self) -> Result<Published, FilesError> {
        let Self {
            files,
            caller,
            request,
            key,
            writer,
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
            settings: request.settings,
            generation: 0,
            metageneration: 1,
            time_created: files.engine().now(),
            updated: files.engine().now(),
            md5,
            sha256,
            crc32c: hashes.crc32c,
            sniffed: sniffed.to_owned(),
            key,
        };
        // Asked before the bytes are made to last, which is what takes long.
        let before = files.find(&record.name)?;
        let _ = judge_arrived(&files, &caller, &record, before.as_ref())?;
        writer.finish().await?;
        let key = record.key.clone();
        let published = publish(&files, &caller, record, &request.guard).await;
        // After a failure of the store nobody knows what it has: then the bytes stay, and are collected if need be.
        if let Err(error) = &published
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
) -> Result<Published, FilesError> {
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
        let mut writes = vec![record_key(&record)?];
        if let Some(before) = &before {
            writes.push(key_write(&before.record.key, &record.name, Some(now))?);
        }
        match files.commit(&record, before.as_ref(), permit, writes).await {
            Ok(version) => {
                return Ok(Published {
                    file: StoredFile { record, version },
                    is_new: before.is_none(),
                });
            }
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(FilesError::Contended)
}

fn record_key(record: &FileRecord) -> Result<andiron_protocol::Write, FilesError> {
    key_write(&record.key, &record.name, None)
}

fn judge_arrived(
    files: &Files,
    caller: &Caller,
    record: &FileRecord,
    before: Option<&StoredFile>,
) -> Result<andiron_engine::FilePermit, FilesError> {
    let mut after = record.to_rules("");
    // What the commit gives is nothing that a rule could be about yet.
    for name in ["generation", "metageneration", "etag", "timeCreated", "updated"] {
        after.remove(name);
    }
    let before = before.map(StoredFile::to_rules);
    Ok(files.engine().file_judge(caller, record.name.bucket().as_str())?.decide(FileOperation {
        method: FileMethod::Create,
        bucket: record.name.bucket().as_str(),
        name: record.name.name(),
        before: before.as_ref(),
        after: Some(&after),
        unknown: &[],
    })?)
}

/// What rules see of a file before its bytes have come.
fn declared_map(request: &UploadRequest) -> Map {
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
