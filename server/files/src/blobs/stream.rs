//! Bytes on their way out of a store.

use std::fmt;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::{GetResult, GetResultPayload};

use crate::FilesError;

/// Bytes of one read from a local file.
const CHUNK_BYTES: usize = 256 * 1024;

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
    Stream {
        stream: BoxStream<'static, object_store::Result<Bytes>>,
        left: u64,
    },
}

impl ByteStream {
    /// No bytes.
    pub(super) fn empty() -> Self {
        Self(Source::Nothing)
    }

    /// Those of a range that a store has opened.
    pub(super) fn of(found: GetResult, range: Range<u64>) -> Self {
        Self(match found.payload {
            GetResultPayload::File(file, _) => Source::File {
                file: Some(file),
                range,
                is_placed: false,
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
            Source::Nothing => Ok(None),
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
