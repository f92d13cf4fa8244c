//! Bytes that wait until there are enough of them for a part: a few in memory, the rest in a file that has no name.
//!
//! Parts for stores on the network are large, and clients may be slow and many. So what they have brought of a part lies on the
//! disk until it is sent; only parts that are being sent are in memory, and of those there is a limit. The file has no name
//! any more when it is written to, so nothing of it is left of a process that is killed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use super::Buffer;
use crate::FilesError;

/// Bytes that wait in memory.
const MEMORY_BYTES_MAX: usize = 256 * 1024;
/// What the names of files begin with, for as long as they have one.
const NAME: &str = "spool-";

/// Where the files of spools are.
#[derive(Debug)]
pub(super) struct SpoolFolder {
    path: Box<Path>,
    made: AtomicU64,
}

impl SpoolFolder {
    /// A folder, which is made when it is first needed.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            made: AtomicU64::new(0),
        }
    }

    /// A file that is gone when it is closed.
    fn file(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.path)?;
        let (process, number) = (std::process::id(), self.made.fetch_add(1, Ordering::Relaxed));
        let path = self.path.join(format!("{NAME}{process}-{number}"));
        // One of this name can only be left of a process that was killed before it took the name away.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

/// Bytes that wait.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: Option<Arc<SpoolFolder>>,
    file: Option<Arc<File>>,
    /// Bytes that are in the file, before those in memory.
    in_file: usize,
    memory: BytesMut,
}

impl Spool {
    /// None yet. Without a folder all of them are going to be in memory.
    pub(super) fn new(folder: Option<Arc<SpoolFolder>>) -> Self {
        Self {
            folder,
            file: None,
            in_file: 0,
            memory: BytesMut::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.in_file + self.memory.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room in memory for as many bytes as are going to wait there, of this many.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let bytes_max = self.folder.as_ref().map_or(usize::MAX, |_| MEMORY_BYTES_MAX);
        self.memory.reserve(bytes.min(bytes_max));
    }

    /// Adds bytes.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        let Some(folder) = self.folder.clone() else {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.memory.len() >= MEMORY_BYTES_MAX {
                self.write_down(&folder).await?;
            }
            let room = MEMORY_BYTES_MAX - self.memory.len();
            let (now, later) = rest.split_at(rest.len().min(room));
            self.memory.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// All of them, if they are in memory. There are none afterwards.
    pub(crate) fn take_memory(&mut self) -> Option<Bytes> {
        (self.in_file == 0).then(|| std::mem::take(&mut self.memory).freeze())
    }

    /// All of them, behind what is in a buffer. There are none afterwards.
    pub(crate) async fn take_into(&mut self, mut buffer: Buffer) -> Result<Buffer, FilesError> {
        let in_file = std::mem::take(&mut self.in_file);
        if let Some(file) = self.file.clone().filter(|_| in_file > 0) {
            let read = run_blocking(move || {
                let start = buffer.bytes.len();
                buffer.bytes.resize(start + in_file, 0);
                file.read_exact_at(&mut buffer.bytes[start..], 0)?;
                Ok(buffer)
            });
            buffer = read.await?;
        }
        buffer.extend(&self.memory);
        self.memory.clear();
        Ok(buffer)
    }

    /// A few of them, from the beginning on; `None` at the end. `from` is how many have been read.
    pub(crate) async fn read(&self, from: usize) -> Result<Option<Bytes>, FilesError> {
        let Some(file) = self.file.clone().filter(|_| from < self.in_file) else {
            let rest = self.memory.get(from.saturating_sub(self.in_file)..);
            let rest = rest.filter(|rest| !rest.is_empty());
            return Ok(rest.map(Bytes::copy_from_slice));
        };
        let len = (self.in_file - from).min(MEMORY_BYTES_MAX);
        let read = run_blocking(move || {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, from as u64)?;
            Ok(bytes)
        });
        Ok(Some(read.await?.into()))
    }

    async fn write_down(&mut self, folder: &Arc<SpoolFolder>) -> Result<(), FilesError> {
        let (folder, file, start) = (Arc::clone(folder), self.file.clone(), self.in_file);
        let mut memory = std::mem::take(&mut self.memory);
        let len = memory.len();
        let write = move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(folder.file()?),
            };
            file.write_all_at(&memory, start as u64)?;
            memory.clear();
            Ok((file, memory))
        };
        let (file, memory) = run_blocking(write).await?;
        self.file = Some(file);
        self.memory = memory;
        self.in_file += len;
        Ok(())
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, FilesError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| FilesError::Internal(format!("bytes were not put aside: {error}")))??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::Buffers;

    #[tokio::test]
    async fn bytes_come_back_as_they_went_in_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("made/when/needed");
        let mut spool = Spool::new(Some(Arc::new(SpoolFolder::new(&place))));
        for len in [
            0,
            1,
            MEMORY_BYTES_MAX,
            MEMORY_BYTES_MAX + 1,
            3 * MEMORY_BYTES_MAX - 7,
        ] {
            let bytes: Vec<u8> = (0..len).map(|number| (number % 251) as u8).collect();
            for piece in bytes.chunks(100_003) {
                spool.push(piece).await.unwrap();
            }
            assert_eq!(spool.len(), len);
            let mut read = Vec::new();
            while let Some(piece) = spool.read(read.len()).await.unwrap() {
                read.extend_from_slice(&piece);
            }
            assert!(read == bytes, "{len}");
            let mut buffer = Buffers::new(1 << 10).buffer(len + 6).await.unwrap();
            buffer.extend(b"before");
            let taken = spool.take_into(buffer).await.unwrap().freeze();
            assert!(taken[6..] == bytes && spool.is_empty(), "{len}");
        }
        assert_eq!(
            std::fs::read_dir(&place).unwrap().count(),
            0,
            "no file has a name"
        );
    }
}
