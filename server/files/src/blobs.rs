//! Bytes under keys, in whatever object store the project has.
//!
//! A key is written once and never changed, so a reader is never in the way of a writer. Bytes are there for good, on the
//! disk and in its directory, before [`BlobWriter::finish`] returns.

use std::fmt;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt as _,
};
use tokio::task::JoinHandle;

use crate::FilesError;

/// Bytes that are collected before they are written: what an upload holds in memory is twice this.
const PART_BYTES: usize = 256 * 1024;
/// Bytes of one read from a local file.
const CHUNK_BYTES: usize = 256 * 1024;
/// What the names of files have that a local store has not finished writing.
const STAGED: char = '#';

/// Where the bytes of files are. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Blobs")
            .field(&self.store.to_string())
            .finish()
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
            return Ok(Self {
                store: Arc::new(store),
            });
        }
        for shard in std::fs::read_dir(folder)? {
            let shard = shard?;
            if !shard.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(shard.path())? {
                let file = file?;
                if file.file_name().to_string_lossy().contains(STAGED) {
                    match std::fs::remove_file(file.path()) {
                        Err(error) if error.kind() != std::io::ErrorKind::ReadOnlyFilesystem => {
                            return Err(error.into());
                        }
                        _ => {}
                    }
                }
            }
        }
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
        })
    }

    /// Begins to write.
    pub(crate) fn write(&self, key: &str) -> BlobWriter {
        BlobWriter {
            store: Arc::clone(&self.store),
            path: path_of(key),
            pending: BytesMut::new(),
            multipart: None,
            in_flight: None,
        }
    }

    /// Reads a range that lies within the bytes.
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, FilesError> {
        if range.is_empty() {
            return Ok(ByteStream(Source::Nothing));
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&path_of(key), options).await?;
        let source = match found.payload {
            GetResultPayload::File(file, _) => Source::File {
                file: Some(file),
                range,
                is_placed: false,
            },
            GetResultPayload::Stream(stream) => Source::Stream(stream),
        };
        Ok(ByteStream(source))
    }

    /// Puts the bytes of one key under another too.
    pub(crate) async fn copy(&self, from: &str, to: &str) -> Result<(), FilesError> {
        Ok(self.store.copy(&path_of(from), &path_of(to)).await?)
    }

    /// Deletes bytes, if they are there.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), FilesError> {
        match self.store.delete(&path_of(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls for every key, with the microseconds since 1970 at which it was written.
    pub(crate) fn keys(&self) -> BoxStream<'static, Result<(String, i64), FilesError>> {
        self.store
            .list(None)
            .map(|entry| {
                let entry = entry?;
                let key = entry.location.filename().unwrap_or_default().to_owned();
                Ok((key, entry.last_modified.timestamp_micros()))
            })
            .boxed()
    }
}

/// Keys lie in a few folders, by their last character: a folder of all would be slow where it is listed.
fn path_of(key: &str) -> Path {
    let shard = &key[key.len().saturating_sub(1)..];
    Path::from(format!("{shard}/{key}"))
}

/// Bytes on their way into the store. What is dropped before it is finished leaves nothing.
pub(crate) struct BlobWriter {
    store: Arc<dyn ObjectStore>,
    path: Path,
    pending: BytesMut,
    multipart: Option<Box<dyn MultipartUpload>>,
    in_flight: Option<JoinHandle<object_store::Result<()>>>,
}

impl BlobWriter {
    /// Takes more bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        let mut rest = bytes;
        while self.pending.len() + rest.len() >= PART_BYTES {
            let (now, later) = rest.split_at(PART_BYTES - self.pending.len());
            self.pending.extend_from_slice(now);
            rest = later;
            self.send_part().await?;
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// Makes the bytes last, and readable under their key.
    pub(crate) async fn finish(mut self) -> Result<(), FilesError> {
        if self.multipart.is_none() {
            let bytes = std::mem::take(&mut self.pending).freeze();
            self.store.put(&self.path, bytes.into()).await?;
            return Ok(());
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        self.await_part().await?;
        if let Some(multipart) = &mut self.multipart {
            multipart.complete().await?;
        }
        self.multipart = None;
        Ok(())
    }

    /// Sends what is pending, while the next is collected.
    async fn send_part(&mut self) -> Result<(), FilesError> {
        // Room for the next at once: growing to it piece by piece takes twice as much.
        let next = BytesMut::with_capacity(PART_BYTES);
        let part = std::mem::replace(&mut self.pending, next).freeze();
        self.await_part().await?;
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => none.insert(self.store.put_multipart(&self.path).await?),
        };
        self.in_flight = Some(tokio::spawn(multipart.put_part(part.into())));
        Ok(())
    }

    async fn await_part(&mut self) -> Result<(), FilesError> {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight
                .await
                .map_err(|error| FilesError::Internal(format!("a part was not written: {error}")))??;
        }
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        let (Some(mut multipart), Ok(runtime)) =
            (self.multipart.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let in_flight = self.in_flight.take();
        runtime.spawn(async move {
            if let Some(in_flight) = in_flight {
                // Whatever became of it, it is not wanted any more.
                let _ = in_flight.await;
            }
            if let Err(error) = multipart.abort().await {
                tracing::debug!(%error, "the parts of an upload that was broken off could not be removed");
            }
        });
    }
}

/// Bytes on their way out, a piece at a time.
pub struct ByteStream(Source);

impl fmt::Debug for ByteStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ByteStream")
    }
}

enum Source {
    Nothing,
    File {
        file: Option<std::fs::File>,
        range: Range<u64>,
        is_placed: bool,
    },
    Stream(BoxStream<'static, object_store::Result<Bytes>>),
}

impl ByteStream {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// If the storage fails, or has fewer bytes than it should.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FilesError> {
        match &mut self.0 {
            Source::Nothing => Ok(None),
            Source::Stream(stream) => Ok(stream.next().await.transpose()?),
            Source::File {
                file: place,
                range,
                is_placed,
            } => {
                let Some(mut file) = place.take() else {
                    return Ok(None);
                };
                let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                if left == 0 {
                    return Ok(None);
                }
                let (start, must_seek) = (range.start, !*is_placed);
                let (file, bytes) = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
                    if must_seek {
                        file.seek(SeekFrom::Start(start))?;
                    }
                    let mut bytes = vec![0; left.min(CHUNK_BYTES)];
                    file.read_exact(&mut bytes)?;
                    Ok((file, bytes))
                })
                .await
                .map_err(|error| FilesError::Internal(format!("a file was not read: {error}")))??;
                range.start += bytes.len() as u64;
                *is_placed = true;
                *place = Some(file);
                Ok(Some(Bytes::from(bytes)))
            }
        }
    }
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
        let bytes: Vec<u8> = (0..PART_BYTES * 9 + 77)
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
        writer.write(&vec![0; PART_BYTES * 2]).await.unwrap();
        // As a process that was killed leaves it.
        std::mem::forget(writer);
        let shard = folder.path().join("1");
        assert_eq!(std::fs::read_dir(&shard).unwrap().count(), 1);
        Blobs::in_folder(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(&shard).unwrap().count(), 0);
    }
}
