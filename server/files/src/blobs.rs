//! Bytes under keys, in whatever object store the project has: a folder of this machine, or a store on the network.
//!
//! A key is written once and never changed, so a reader is never in the way of a writer. Bytes are there for good, on the
//! disk and in its directory, before `BlobWriter::finish` returns.
//!
//! What a store on the network was sent of an object that was never finished stays there, unseen and paid for, until it is
//! told to forget it. So a *note* is left beside the object's place when its first part is sent, with the name that the store
//! has given to the beginning, and struck when the object is there or given up. A note that an earlier process left tells
//! what to forget.

mod assembly;
mod buffers;
mod connection;
mod remote;
mod spool;
mod stream;
mod writer;

pub(crate) use assembly::SentPart;
pub(crate) use buffers::Buffer;
pub use remote::{RemoteStore, StoreUrl};
pub(crate) use spool::Spool;
pub use stream::ByteStream;
pub(crate) use writer::BlobWriter;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, MultipartId, ObjectStore, ObjectStoreExt as _};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::FilesError;
use assembly::split_noted;
use buffers::Buffers;
use spool::SpoolFolder;

/// Bytes that are collected before they are written to a local disk: what an upload holds in memory is twice this.
const LOCAL_PART_BYTES: usize = 256 * 1024;
/// The same for a store on the network: what S3 demands of all parts but the last.
const REMOTE_PART_BYTES: usize = 5 << 20;
/// Parts of one object in a store on the network, at most: what S3 allows.
const REMOTE_PARTS_MAX: u64 = 10_000;
/// Parts of one upload that are on their way to a store on the network at once.
const REMOTE_PARTS_AT_ONCE: usize = 2;
/// Bytes of all uploads that are in memory at once on their way to a store on the network, in KiB: six parts. A single part that
/// is larger, as those of very large files are, goes alone.
const SENT_KIB_MAX: u32 = 6 * (5 << 10);
/// The largest object that every store copies by itself.
const COPIED_BYTES_MAX: u64 = 5 << 30;
/// What the names of files have that a local store has not finished writing.
const STAGED: char = '#';
/// What the names of notes end with.
const NOTE: &str = ".begun";
/// The object that says whose a place in a store on the network is.
const MARKER: &str = "andiron";
/// The object that is written and deleted to see whether that can be done.
const TRIAL: &str = "andiron.trial";
/// How long it may take to see whether a store on the network answers.
const CHECK_TIME_MAX: Duration = Duration::from_secs(10);
/// How long it is not asked again: whoever may ask whether the server is ready cannot make it ask for more.
const CHECKED_TIME: Duration = Duration::from_secs(10);

/// Where the bytes of files are. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Blobs(Arc<Place>);

struct Place {
    objects: Arc<dyn ObjectStore>,
    /// For a store that keeps what was not finished.
    multiparts: Option<Arc<dyn MultipartStore>>,
    prefix: Path,
    /// The folder, for a store that is one.
    folder: Option<PathBuf>,
    /// Memory for what is sent over the network.
    buffers: Buffers,
    /// Where bytes wait until there are enough to be sent.
    spools: Option<Arc<SpoolFolder>>,
    /// Keys of objects of which parts are being sent by this process.
    live: Mutex<HashSet<String>>,
    /// When it was last asked whether the store answers, and what came of it.
    checked: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Blobs")
            .field(&self.0.objects.to_string())
            .finish()
    }
}

/// A key whose object is being written, until it is dropped.
struct LiveKey {
    blobs: Blobs,
    key: String,
}

impl Drop for LiveKey {
    fn drop(&mut self) {
        self.blobs.0.live.lock().remove(&self.key);
    }
}

impl Blobs {
    /// Bytes in a folder of this machine, which is made if it is not there. What uploads of an earlier process had begun is
    /// removed: nobody else may be writing to the folder.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn in_folder(folder: &FsPath) -> Result<Self, FilesError> {
        if let Err(error) = std::fs::create_dir_all(folder) {
            // Where nothing can be written there is nothing to read either, and the rest of the server does without.
            let surrounding = folder.parent().filter(|parent| parent.is_dir());
            let (Some(surrounding), std::io::ErrorKind::ReadOnlyFilesystem) = (surrounding, error.kind())
            else {
                return Err(error.into());
            };
            let store = LocalFileSystem::new_with_prefix(surrounding)?;
            return Ok(Self::of(Arc::new(store), None, Path::default(), None, None));
        }
        remove_staged(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        let folder = Some(folder.to_owned());
        Ok(Self::of(Arc::new(store), None, Path::default(), folder, None))
    }

    /// Bytes in a store on the network. Nothing is asked of it yet. What is on its way there waits in files of the folder
    /// `spools` of this machine, which is made when it is needed.
    ///
    /// # Errors
    /// If the credentials have not the form that the service's have.
    pub fn in_remote(remote: RemoteStore, spools: &FsPath) -> Result<Self, FilesError> {
        let opened = remote::open(remote)?;
        Ok(Self::of(
            opened.objects,
            Some(opened.multiparts),
            opened.prefix,
            None,
            Some(Arc::new(SpoolFolder::new(spools))),
        ))
    }

    /// Bytes in a store of the caller's making, which forgets what was begun and not finished.
    pub fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self::of(objects, None, Path::default(), None, None)
    }

    fn of(
        objects: Arc<dyn ObjectStore>,
        multiparts: Option<Arc<dyn MultipartStore>>,
        prefix: Path,
        folder: Option<PathBuf>,
        spools: Option<Arc<SpoolFolder>>,
    ) -> Self {
        Self(Arc::new(Place {
            objects,
            multiparts,
            prefix,
            folder,
            buffers: Buffers::new(SENT_KIB_MAX),
            spools,
            live: Mutex::default(),
            checked: tokio::sync::Mutex::default(),
        }))
    }

    /// Whether the bytes are on the network.
    pub fn is_remote(&self) -> bool {
        self.0.multiparts.is_some()
    }

    /// Sees whether a store on the network can be read and written, and whose the place there is: `owner`'s from now on if it
    /// was nobody's. A folder is its owner's.
    ///
    /// # Errors
    /// [`FilesError::Storage`] says what cannot be done, [`FilesError::PlaceTaken`] that the place is another project's.
    pub async fn claim(&self, owner: &str) -> Result<(), FilesError> {
        if !self.is_remote() {
            return Ok(());
        }
        let claiming = async {
            let (marker, trial) = (self.path(MARKER), self.path(TRIAL));
            let found = match self.objects().get(&marker).await {
                Ok(found) => Some(found.bytes().await.map_err(|error| doing("read", error))?),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(doing("read", error)),
            };
            if found.as_ref().is_some_and(|found| found != owner.as_bytes()) {
                return Err(FilesError::PlaceTaken);
            }
            let put = self.objects().put(&trial, owner.to_owned().into()).await;
            put.map_err(|error| doing("written", error))?;
            let deleted = self.objects().delete(&trial).await;
            deleted.map_err(|error| doing("deleted from", error))?;
            if found.is_none() {
                let put = self.objects().put(&marker, owner.to_owned().into()).await;
                put.map_err(|error| doing("written", error))?;
            }
            Ok(())
        };
        match timeout(CHECK_TIME_MAX, claiming).await {
            Ok(claimed) => claimed,
            Err(_) => Err(FilesError::Storage(no_answer())),
        }
    }

    /// Sees whether the bytes can be reached. What came of it holds for [`CHECKED_TIME`].
    ///
    /// # Errors
    /// [`FilesError::Storage`] if they cannot.
    pub(crate) async fn check(&self) -> Result<(), FilesError> {
        if let Some(folder) = &self.0.folder {
            return Ok(std::fs::metadata(folder).map(drop)?);
        }
        if !self.is_remote() {
            return Ok(());
        }
        let mut checked = self.0.checked.lock().await;
        let known = checked
            .as_ref()
            .filter(|(when, _)| when.elapsed() < CHECKED_TIME)
            .map(|(_, outcome)| outcome.clone());
        let outcome = match known {
            Some(outcome) => outcome,
            None => {
                let marker = self.path(MARKER);
                let outcome = match timeout(CHECK_TIME_MAX, self.objects().head(&marker)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err(no_answer()),
                };
                *checked = Some((Instant::now(), outcome.clone()));
                outcome
            }
        };
        outcome.map_err(FilesError::Storage)
    }

    /// Puts bytes under a key at once.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), FilesError> {
        self.objects().put(&self.path_of(key), bytes.into()).await?;
        Ok(())
    }

    /// Begins to write.
    pub(crate) fn write(&self, key: &str) -> BlobWriter {
        BlobWriter::new(self, key)
    }

    /// The bytes that are best put under one key where that can be chosen: more would be sent to the network in parts.
    pub(crate) fn whole_bytes_max(&self) -> u64 {
        if self.is_remote() {
            REMOTE_PART_BYTES as u64
        } else {
            u64::MAX
        }
    }

    /// Reads a range that lies within the bytes.
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, FilesError> {
        if range.is_empty() {
            return Ok(ByteStream::empty());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let found = self.objects().get_opts(&self.path_of(key), options).await?;
        Ok(ByteStream::of(found, range))
    }

    /// Puts the bytes of one key, of which there are this many, under another too. The store does it by itself unless they
    /// are too many for that.
    pub(crate) async fn copy(&self, from: &str, to: &str, bytes: u64) -> Result<(), FilesError> {
        if !self.is_remote() || bytes <= COPIED_BYTES_MAX {
            let (from, to) = (self.path_of(from), self.path_of(to));
            return Ok(self.objects().copy(&from, &to).await?);
        }
        let mut source = self.read(from, 0..bytes).await?;
        let mut writer = self.write(to).for_bytes(bytes);
        while let Some(more) = source.next().await? {
            writer.write(&more).await?;
        }
        writer.finish().await
    }

    /// Deletes bytes, if they are there.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), FilesError> {
        self.remove(&self.path_of(key)).await
    }

    /// Calls for every key and note, with the microseconds since 1970 at which it was written.
    pub fn keys(&self) -> BoxStream<'static, Result<(String, i64), FilesError>> {
        let prefix = Some(&self.0.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        self.objects()
            .list(prefix)
            .map(|entry| {
                let entry = entry?;
                let key = entry.location.filename().unwrap_or_default().to_owned();
                Ok((key, entry.last_modified.timestamp_micros()))
            })
            .boxed()
    }

    /// The name of the owner of what this is a note of, if it is one and it was [begun](Self::begin) for one.
    pub(crate) fn owner_noted(note: &str) -> Option<&str> {
        split_noted(note.strip_suffix(NOTE)?).1
    }

    /// Makes the store forget what this note is of, unless this process is still sending it. Says whether it did.
    pub(crate) async fn forget(&self, note: &str) -> Result<bool, FilesError> {
        let Some(noted) = note.strip_suffix(NOTE).filter(|_| self.is_remote()) else {
            return Ok(false);
        };
        let (key, _) = split_noted(noted);
        if self.0.live.lock().contains(key) {
            return Ok(false);
        }
        let place = self.note_path(noted);
        let id = match self.objects().get(&place).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.abort(key, &String::from_utf8_lossy(&id)).await?;
        self.remove(&place).await?;
        Ok(true)
    }

    /// Notes what the store has to be told to forget if this process does not come to it.
    async fn note(&self, key: &str, id: &MultipartId) -> Result<(), FilesError> {
        let note = self.note_path(key);
        self.objects().put(&note, id.clone().into()).await?;
        Ok(())
    }

    async fn strike_note(&self, key: &str) {
        if let Err(error) = self.remove(&self.note_path(key)).await {
            tracing::debug!(%error, "a note on an upload stays until it is collected");
        }
    }

    fn live(&self, key: &str) -> LiveKey {
        self.0.live.lock().insert(key.to_owned());
        LiveKey {
            blobs: self.clone(),
            key: key.to_owned(),
        }
    }

    async fn remove(&self, path: &Path) -> Result<(), FilesError> {
        match self.objects().delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn objects(&self) -> &dyn ObjectStore {
        &*self.0.objects
    }

    fn multiparts(&self) -> Option<Arc<dyn MultipartStore>> {
        self.0.multiparts.clone()
    }

    /// Bytes of the parts of an object that has at most this many: all but the last are of one size, which some stores demand.
    pub(crate) fn part_bytes(&self, bytes_max: u64) -> usize {
        if !self.is_remote() {
            return LOCAL_PART_BYTES;
        }
        let needed = usize::try_from(bytes_max.div_ceil(REMOTE_PARTS_MAX)).unwrap_or(usize::MAX);
        REMOTE_PART_BYTES.max(needed)
    }

    fn parts_at_once(&self) -> usize {
        if self.is_remote() { REMOTE_PARTS_AT_ONCE } else { 1 }
    }

    /// Waits until there is memory for this many bytes on their way to a store on the network. To be asked for before they are
    /// read, and by nobody who has some already.
    pub(crate) async fn buffer(&self, bytes: usize) -> Result<Buffer, FilesError> {
        self.0.buffers.buffer(bytes).await
    }

    /// Where bytes may wait until there are enough to be sent.
    pub(crate) fn spool(&self) -> Spool {
        Spool::new(self.0.spools.clone())
    }

    /// Keys lie in a few folders, by their last character: a folder of all would be slow where it is listed.
    fn path_of(&self, key: &str) -> Path {
        let shard = &key[key.len().saturating_sub(1)..];
        self.path(&format!("{shard}/{key}"))
    }

    fn note_path(&self, key: &str) -> Path {
        Path::from(format!("{}{NOTE}", self.path_of(key)))
    }

    fn path(&self, relative: &str) -> Path {
        self.0
            .prefix
            .parts()
            .chain(Path::from(relative).parts())
            .collect()
    }
}

/// Removes what uploads of an earlier process had begun to write.
fn remove_staged(folder: &FsPath) -> Result<(), FilesError> {
    for shard in std::fs::read_dir(folder)? {
        let shard = shard?;
        if !shard.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(shard.path())? {
            let file = file?;
            if !file.file_name().to_string_lossy().contains(STAGED) {
                continue;
            }
            match std::fs::remove_file(file.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::ReadOnlyFilesystem => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The error that a store cannot be `read`, or whatever was tried.
fn doing(done: &str, error: object_store::Error) -> FilesError {
    FilesError::Storage(format!("it cannot be {done}: {error}"))
}

fn no_answer() -> String {
    format!("it does not answer within {} s", CHECK_TIME_MAX.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut stream: ByteStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(more) = stream.next().await.unwrap() {
            bytes.extend_from_slice(&more);
        }
        bytes
    }

    #[tokio::test]
    async fn what_was_written_in_pieces_is_read_by_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let bytes: Vec<u8> = (0..LOCAL_PART_BYTES * 9 + 77)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut writer = blobs.write("key1");
        for piece in bytes.chunks(100_001) {
            writer.write(piece).await.unwrap();
        }
        writer.finish().await.unwrap();
        let len = bytes.len() as u64;
        for range in [0..len, 0..1, len - 1..len, 5..5, 1_000_000..2_000_000] {
            let read = all(blobs.read("key1", range.clone()).await.unwrap()).await;
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(read == bytes[range.clone()], "{range:?}");
        }
    }

    #[tokio::test]
    async fn what_was_not_finished_is_gone_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let mut writer = blobs.write("key1");
        writer.write(&vec![0; LOCAL_PART_BYTES * 2]).await.unwrap();
        // As a process that was killed leaves it.
        std::mem::forget(writer);
        let shard = folder.path().join("1");
        assert_eq!(std::fs::read_dir(&shard).unwrap().count(), 1);
        Blobs::in_folder(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(&shard).unwrap().count(), 0);
    }
}
