//! Bytes on their way out of a store.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::{GetResult, GetResultPayload};
use parking_lot::Mutex;

use crate::FilesError;

/// Bytes of one read from a local file.
const CHUNK_BYTES: usize = 256 * 1024;
/// Buffers of one file that are kept to be read into again: those that are read ahead, and the one that is being sent.
const BUFFERS_MAX: usize = 4;

/// Bytes on their way out, a piece at a time.
pub struct ByteStream(Source);

impl fmt::Debug for ByteStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ByteStream")
    }
}

enum Source {
    /// Bytes that are here.
    Here(Bytes),
    File {
        file: Arc<LocalFile>,
        range: Range<u64>,
    },
    Stream {
        stream: BoxStream<'static, object_store::Result<Bytes>>,
        left: u64,
    },
}

impl ByteStream {
    /// No bytes.
    pub(super) fn empty() -> Self {
        Self(Source::Here(Bytes::new()))
    }

    /// A range of bytes that are here.
    pub(crate) fn part_of(bytes: &Bytes, range: Range<u64>) -> Self {
        let place = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        Self(Source::Here(bytes.slice(place(range.start)..place(range.end))))
    }

    /// Those of a range that a store has opened.
    pub(super) fn of(found: GetResult, range: Range<u64>) -> Self {
        Self(match found.payload {
            GetResultPayload::File(file, _) => Source::File {
                file: Arc::new(LocalFile {
                    file,
                    buffers: Mutex::default(),
                }),
                range,
            },
            GetResultPayload::Stream(stream) => Source::Stream {
                stream,
                left: range.end - range.start,
            },
        })
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// If the storage fails, or has fewer bytes than it should.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FilesError> {
        match &mut self.0 {
            Source::Here(bytes) => {
                let bytes = std::mem::take(bytes);
                Ok((!bytes.is_empty()).then_some(bytes))
            }
            Source::Stream { stream, left } => {
                let bytes = stream.next().await.transpose()?;
                *left = left.saturating_sub(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
                if bytes.is_none() && *left > 0 {
                    return Err(FilesError::Storage(format!(
                        "{left} bytes are missing at the end"
                    )));
                }
                Ok(bytes)
            }
            Source::File { file, range } => {
                let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                if left == 0 {
                    return Ok(None);
                }
                let (len, start) = (left.min(CHUNK_BYTES), range.start);
                let bytes = match file.read_at_once(start, len)? {
                    Some(bytes) => bytes,
                    None => {
                        let file = Arc::clone(file);
                        tokio::task::spawn_blocking(move || file.read(start, len))
                            .await
                            .map_err(|error| {
                                FilesError::Internal(format!("a file was not read: {error}"))
                            })??
                    }
                };
                range.start += bytes.len() as u64;
                Ok(Some(bytes))
            }
        }
    }
}

/// A file of this machine, with buffers that it has been read into and that are free again: a fresh one would be cleared
/// first, and be in no cache of the processor.
struct LocalFile {
    file: File,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl LocalFile {
    /// Reads what the system has in memory, as far as it has; `None` if that would have to wait for the disk.
    #[cfg(target_os = "linux")]
    fn read_at_once(self: &Arc<Self>, start: u64, len: usize) -> io::Result<Option<Bytes>> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};

        let mut buffer = self.buffer(len);
        let read = preadv2(
            &self.file,
            &mut [io::IoSliceMut::new(&mut buffer[..len])],
            start,
            ReadWriteFlags::NOWAIT,
        );
        match read {
            Ok(read @ 1..) => Ok(Some(self.lend(buffer, read))),
            // The end comes too early, which the other way tells; or the file system knows no such reads.
            Ok(0) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS) => {
                self.take_back(buffer);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Elsewhere nobody can say whether it would have to wait.
    #[cfg(not(target_os = "linux"))]
    fn read_at_once(self: &Arc<Self>, _start: u64, _len: usize) -> io::Result<Option<Bytes>> {
        Ok(None)
    }

    fn read(self: &Arc<Self>, start: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = self.buffer(len);
        self.file.read_exact_at(&mut buffer[..len], start)?;
        Ok(self.lend(buffer, len))
    }

    fn buffer(&self, len: usize) -> Vec<u8> {
        let kept = self.buffers.lock().pop();
        kept.filter(|buffer| buffer.len() >= len)
            .unwrap_or_else(|| vec![0; len])
    }

    fn lend(self: &Arc<Self>, buffer: Vec<u8>, len: usize) -> Bytes {
        Bytes::from_owner(Lent {
            file: Arc::clone(self),
            buffer,
            len,
        })
    }

    fn take_back(&self, buffer: Vec<u8>) {
        let mut buffers = self.buffers.lock();
        if buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
    }
}

/// A buffer on its way out, which comes back.
struct Lent {
    file: Arc<LocalFile>,
    buffer: Vec<u8>,
    len: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.file.take_back(std::mem::take(&mut self.buffer));
    }
}
