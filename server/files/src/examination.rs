//! Whether the bytes of every file are there, and those that were published.
//!
//! Everything is read once. Files may be published, overwritten and deleted meanwhile: the bytes of those stay for as long as the
//! past does, so that what is told is never of a file that is only on its way.

use andiron_engine::Caller;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::files::key_path;
use crate::garbage::KEY_CHARS;
use crate::list::{Place, stored_file};
use crate::{BucketName, Files, FilesError, StoredFile};

/// Problems that are told; of more only the number is.
const PROBLEMS_MAX: usize = 100;
/// Collections that are looked at before the next are asked for.
const COLLECTIONS_AT_ONCE: usize = 1000;

/// What an examination of the files has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FilesExamination {
    /// A sentence for each problem, the first hundred.
    pub problems: Vec<String>,
    /// Problems that are not among these.
    pub problems_more: u64,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that nothing names, by their keys: of uploads that broke off, until they are collected.
    pub orphans: u64,
}

impl FilesExamination {
    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        } else {
            self.problems_more += 1;
        }
    }
}

impl Files {
    /// Reads every file and compares what was read with what was published.
    ///
    /// # Errors
    /// If the documents cannot be read, or the keys of bytes not be listed. A file whose bytes cannot be read is a problem.
    pub async fn examine(&self) -> Result<FilesExamination, FilesError> {
        let mut examination = FilesExamination::default();
        let mut after = None;
        loop {
            let collections =
                self.engine()
                    .collections(&Caller::System, after.as_ref(), COLLECTIONS_AT_ONCE)?;
            let is_last = collections.len() < COLLECTIONS_AT_ONCE;
            for collection in &collections {
                let bucket = collection.as_str().strip_prefix("_files/");
                let bucket = bucket.and_then(|rest| rest.strip_suffix("/objects"));
                if let Some(Ok(bucket)) = bucket.map(str::parse::<BucketName>) {
                    self.examine_bucket(&bucket, &mut examination).await?;
                }
            }
            if is_last {
                break;
            }
            after = collections.last().cloned();
        }
        self.count_orphans(&mut examination).await?;
        Ok(examination)
    }

    async fn examine_bucket(
        &self,
        bucket: &BucketName,
        examination: &mut FilesExamination,
    ) -> Result<(), FilesError> {
        let mut place = Place::From(String::new());
        loop {
            let documents = self.read_from(bucket, &place).await?;
            let Some(last) = documents.last() else {
                return Ok(());
            };
            place = Place::After(last.path.id().to_owned());
            for document in &documents {
                match stored_file(bucket, document) {
                    Ok(file) => self.examine_file(&file, examination).await,
                    Err(error) => examination.problem(error.to_string()),
                }
            }
        }
    }

    async fn examine_file(&self, file: &StoredFile, examination: &mut FilesExamination) {
        let name = &file.record.name;
        match self.read_whole(file).await {
            Ok((bytes, sha256)) if bytes == file.record.size && sha256 == file.record.sha256 => {
                examination.files += 1;
                examination.bytes += bytes;
            }
            Ok((bytes, _)) if bytes != file.record.size => examination.problem(format!(
                "`{name}` has {bytes} bytes, and {} were published",
                file.record.size
            )),
            Ok(_) => examination.problem(format!("the bytes of `{name}` are not those that were published")),
            Err(error) => examination.problem(format!("the bytes of `{name}` cannot be read: {error}")),
        }
    }

    async fn read_whole(&self, file: &StoredFile) -> Result<(u64, [u8; 32]), FilesError> {
        let mut bytes = 0;
        let mut sha256 = Sha256::new();
        let mut source = self.read(file, 0..file.record.size).await?;
        while let Some(more) = source.next().await? {
            bytes += more.len() as u64;
            sha256.update(&more);
        }
        Ok((bytes, sha256.finalize().into()))
    }

    async fn count_orphans(&self, examination: &mut FilesExamination) -> Result<(), FilesError> {
        let mut keys = self.blobs().keys();
        while let Some(entry) = keys.next().await {
            let (key, _) = entry?;
            // Parts of unfinished uploads have longer ones, and documents of their own.
            if key.len() == KEY_CHARS && self.engine().get(&Caller::System, &key_path(&key)?)?.is_none() {
                examination.orphans += 1;
            }
        }
        Ok(())
    }
}
