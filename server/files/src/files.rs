//! The one door to files: finding, reading, changing and deleting them, each put to the rules first.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use andiron_engine::{Caller, Engine, EngineError, FileMethod, FileOperation, FilePermit, StoredDocument};
use andiron_protocol::{
    ApplyError, CollectionPath, CommitBody, DocumentPath, Map, Precondition, Query, Timestamp, Value,
    Version, Write, WriteKind, data_from_json,
};

use crate::embedded::is_embedded;
use crate::resumable::Turns;
use crate::usage::Accounting;
use crate::variants::VariantWork;
use crate::{Blobs, ByteStream, ContentType, FileName, FileRecord, FilesError, FilesOptions};

/// How often a change is tried again because somebody else changed the file in between. Each time somebody has got on.
pub(crate) const ATTEMPTS_MAX: usize = 100;
/// The collection that says of every key which file it belongs to, and since when it is of no more use.
pub(crate) const KEYS: &str = "_file_keys";

/// The files of one engine. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Files(Arc<Parts>);

struct Parts {
    engine: Engine,
    blobs: Blobs,
    options: FilesOptions,
    turns: Turns,
    overtaken: tokio::sync::Mutex<()>,
    variant_work: VariantWork,
}

impl fmt::Debug for Files {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Files").field(&self.0.blobs).finish()
    }
}

/// A file with the version of its metadata, which is its entity tag too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The metadata.
    pub record: FileRecord,
    /// Grows with every change of bytes or metadata.
    pub version: Version,
}

impl StoredFile {
    /// As rules see it.
    pub(crate) fn to_rules(&self) -> Map {
        self.record.to_rules(&self.version.to_etag())
    }
}

/// A file that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// As it stands.
    pub file: StoredFile,
    /// Whether there was none of its name.
    pub is_new: bool,
}

/// What must hold of the file that is there, if any, for a change to be made. The change then replaces exactly that.
#[derive(Clone)]
pub struct Guard(Option<Condition>);

type Condition = Arc<dyn Fn(Option<Version>) -> bool + Send + Sync>;

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Guard")
    }
}

impl Guard {
    /// Anything goes.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whatever this says about the version that is there; `None` if there is no file.
    pub fn new(holds: impl Fn(Option<Version>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(holds)))
    }

    /// Whether anything goes.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn check(&self, file: Option<&StoredFile>) -> Result<(), FilesError> {
        let holds = self.0.as_ref();
        if holds.is_none_or(|holds| holds(file.map(|file| file.version))) {
            Ok(())
        } else {
            Err(FilesError::ConditionFailed)
        }
    }
}

/// A change of a file's metadata. What is `None` stays; an inner `None` goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataChange {
    /// What kind of bytes they are to be taken for, as far as the bytes do not contradict it.
    pub content_type: Option<ContentType>,
    /// `Cache-Control`.
    pub cache_control: Option<Option<String>>,
    /// `Content-Disposition`.
    pub content_disposition: Option<Option<String>>,
    /// `Content-Encoding`.
    pub content_encoding: Option<Option<String>>,
    /// `Content-Language`.
    pub content_language: Option<Option<String>>,
    /// The file's own metadata, name by name.
    pub metadata: Vec<(String, Option<String>)>,
}

impl Files {
    /// The files whose metadata are in this engine and whose bytes are there.
    pub fn new(engine: Engine, blobs: Blobs, options: FilesOptions) -> Self {
        Self(Arc::new(Parts {
            engine,
            blobs,
            variant_work: VariantWork::new(options.variant_memory_bytes),
            options,
            turns: Turns::default(),
            overtaken: tokio::sync::Mutex::default(),
        }))
    }

    /// The limits.
    pub fn options(&self) -> &FilesOptions {
        &self.0.options
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The documents that a query of the system's own finds.
    pub(crate) async fn query(&self, query: Query) -> Result<Vec<StoredDocument>, FilesError> {
        let (found, _) = self
            .engine()
            .query(&Caller::System, query, Default::default(), Vec::new())
            .await?;
        Ok(found)
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    /// The queue of those whose commit failed because others were faster, at a figure that all change or at one name: who has
    /// it tries again, against newcomers alone. So of any number that come at once each gets through.
    pub(crate) async fn overtaken<'f>(&'f self, queue: &mut Option<tokio::sync::MutexGuard<'f, ()>>) {
        if queue.is_none() {
            *queue = Some(self.0.overtaken.lock().await);
        }
    }

    pub(crate) fn variant_work(&self) -> &VariantWork {
        &self.0.variant_work
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// A file's metadata, if the caller may read it; `None` if the caller may know that it is not there.
    ///
    /// # Errors
    /// If the caller may not read it, whether or not it is there; or the store cannot read.
    pub fn get(&self, caller: &Caller, name: &FileName) -> Result<Option<StoredFile>, FilesError> {
        let found = self.find(name)?;
        if !self.bucket(name.bucket())?.public_read {
            let _ = self.judge(caller, FileMethod::Get, name, found.as_ref(), None)?;
        }
        Ok(found)
    }

    /// A range of the bytes of a file that [`Files::get`] gave. The range lies within its size.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn read(&self, file: &StoredFile, range: Range<u64>) -> Result<ByteStream, FilesError> {
        let key = &file.record.key;
        if is_embedded(key) {
            return Ok(ByteStream::part_of(&self.embedded(key)?, range));
        }
        self.blobs().read(key, range).await
    }

    /// Changes a file's metadata.
    ///
    /// # Errors
    /// If the change is wrong, the rules deny it, the condition does not hold, or there is no such file.
    pub async fn change(
        &self,
        caller: &Caller,
        name: &FileName,
        change: MetadataChange,
        guard: &Guard,
    ) -> Result<StoredFile, FilesError> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.find(name)?;
            let Some(before) = before else {
                // Judged like one that is there, so that a denial tells nothing.
                let _ = self.judge(caller, FileMethod::Update, name, None, None)?;
                guard.check(None)?;
                return Err(FilesError::NotFound(name.to_string()));
            };
            let mut record = before.record.clone();
            apply(&mut record, &change)?;
            record.metageneration += 1;
            record.updated = self.engine().now();
            let after = StoredFile {
                record: record.clone(),
                version: before.version,
            };
            let permit = self.judge(caller, FileMethod::Update, name, Some(&before), Some(&after))?;
            guard.check(Some(&before))?;
            match self.commit(&record, Some(&before), permit, Vec::new()).await {
                Ok(version) => return Ok(StoredFile { record, version }),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(FilesError::Contended)
    }

    /// Deletes a file; says whether there was one.
    ///
    /// # Errors
    /// If the rules deny it or the condition does not hold.
    pub async fn delete(&self, caller: &Caller, name: &FileName, guard: &Guard) -> Result<bool, FilesError> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.find(name)?;
            let permit = self.judge(caller, FileMethod::Delete, name, before.as_ref(), None)?;
            guard.check(before.as_ref())?;
            let Some(before) = before else { return Ok(false) };
            let mut writes = vec![
                Write {
                    path: name.document()?,
                    kind: WriteKind::Delete,
                    precondition: Precondition::Version(before.version),
                },
                key_write(&before.record.key, name, Some(self.engine().now()))?,
            ];
            let accounted = self.account_for(&Accounting {
                going: vec![&before.record],
                ..Accounting::default()
            })?;
            writes.extend(accounted.writes);
            let body = CommitBody {
                writes,
                ..CommitBody::default()
            };
            match self.engine().commit_with_permit(permit, body).await {
                Ok(_) => return Ok(true),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(FilesError::Contended)
    }

    /// The file of this name, without asking who wants to know.
    pub(crate) fn find(&self, name: &FileName) -> Result<Option<StoredFile>, FilesError> {
        let Some(document) = self.engine().get(&Caller::System, &name.document()?)? else {
            return Ok(None);
        };
        let map = data_from_json(document.data.as_bytes()).map_err(|error| {
            FilesError::Internal(format!("the document of `{name}` cannot be read: {error}"))
        })?;
        Ok(Some(StoredFile {
            record: FileRecord::from_map(&map, name.clone())?,
            version: document.version,
        }))
    }

    pub(crate) fn judge(
        &self,
        caller: &Caller,
        method: FileMethod,
        name: &FileName,
        before: Option<&StoredFile>,
        after: Option<&StoredFile>,
    ) -> Result<FilePermit, FilesError> {
        let judge = self.engine().file_judge(caller, name.bucket().as_str())?;
        let to_rules = |file: Option<&StoredFile>| {
            let file = file.filter(|_| judge.asks_rules());
            file.map(StoredFile::to_rules)
        };
        Ok(judge.decide(FileOperation {
            method,
            bucket: name.bucket().as_str(),
            name: name.name(),
            before: to_rules(before).as_ref(),
            after: to_rules(after).as_ref(),
            unknown: &[],
        })?)
    }

    /// Writes a file's document in the place of the one that was judged, if that and all that the judgement looked up is
    /// still as it was.
    pub(crate) async fn commit(
        &self,
        record: &FileRecord,
        before: Option<&StoredFile>,
        permit: FilePermit,
        others: Vec<Write>,
    ) -> Result<Version, EngineError> {
        let mut writes = vec![Write {
            path: record.name.document()?,
            kind: WriteKind::Set(record.to_map().into()),
            precondition: match before {
                Some(before) => Precondition::Version(before.version),
                None => Precondition::Exists(false),
            },
        }];
        writes.extend(others);
        let body = CommitBody {
            writes,
            ..CommitBody::default()
        };
        Ok(self.engine().commit_with_permit(permit, body).await?.version)
    }
}

fn apply(record: &mut FileRecord, change: &MetadataChange) -> Result<(), FilesError> {
    if let Some(content_type) = &change.content_type {
        record.content_type = ContentType::resolve(Some(content_type), &record.sniffed);
    }
    let settings = &mut record.settings;
    for (place, change) in [
        (&mut settings.cache_control, &change.cache_control),
        (&mut settings.content_disposition, &change.content_disposition),
        (&mut settings.content_encoding, &change.content_encoding),
        (&mut settings.content_language, &change.content_language),
    ] {
        if let Some(change) = change {
            place.clone_from(change);
        }
    }
    for (name, value) in &change.metadata {
        settings.metadata.retain(|(kept, _)| kept != name);
        if let Some(value) = value {
            settings.metadata.push((name.clone(), value.clone()));
        }
    }
    Ok(settings.check()?)
}

/// The document that says which file a key belongs to, or that it belongs to none any more.
pub(crate) fn key_write(key: &str, name: &FileName, unused: Option<Timestamp>) -> Result<Write, FilesError> {
    let mut map = Map::from([("file".to_owned(), Value::from(name.to_string().as_str()))]);
    if let Some(unused) = unused {
        map.insert("unused".to_owned(), Value::Timestamp(unused));
    }
    Ok(Write {
        path: key_path(key)?,
        kind: WriteKind::Set(map.into()),
        precondition: Precondition::None,
    })
}

/// The document that says that a key belongs to a file. Bytes in a document need none until they are of no more use: they
/// come with the commit that names them, so there is never a doubt whose they are.
pub(crate) fn key_of(record: &FileRecord) -> Result<Option<Write>, FilesError> {
    if is_embedded(&record.key) {
        return Ok(None);
    }
    key_write(&record.key, &record.name, None).map(Some)
}

pub(crate) fn key_path(key: &str) -> Result<DocumentPath, FilesError> {
    Ok(KEYS.parse::<CollectionPath>()?.document(key)?)
}

/// Whether a commit failed because somebody else was faster, and reading again may help.
pub(crate) fn is_conflict(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Aborted { .. }
            | EngineError::Apply {
                reason: ApplyError::OtherVersion
                    | ApplyError::Missing
                    | ApplyError::NotFound
                    | ApplyError::AlreadyExists
                    | ApplyError::Present,
                ..
            }
    )
}
