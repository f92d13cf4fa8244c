//! Memory for what is on its way to a store on the network: there is only so much of it, and what one part has used the next one
//! uses again. While nothing is sent there is none.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::FilesError;

/// Buffers of fewer bytes are not kept to be used again.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// The memory.
#[derive(Clone)]
pub(super) struct Buffers(Arc<Shared>);

struct Shared {
    kib_max: u32,
    /// Room, in KiB.
    room: Arc<Semaphore>,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// So much memory. What is larger by itself goes alone.
    pub(super) fn new(kib_max: u32) -> Self {
        Self(Arc::new(Shared {
            kib_max,
            room: Arc::new(Semaphore::new(kib_max as usize)),
            kept: Mutex::default(),
        }))
    }

    /// Waits until there is room for this many bytes. Whoever has a buffer must not wait for another.
    pub(super) async fn buffer(&self, bytes: usize) -> Result<Buffer, FilesError> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room).acquire_many_owned(kib.min(self.0.kib_max));
        let room = room
            .await
            .map_err(|error| FilesError::Internal(format!("parts are not sent any more: {error}")))?;
        let kept = if bytes >= KEPT_BYTES_MIN {
            self.0.kept.lock().pop()
        } else {
            None
        };
        let mut buffer = kept.unwrap_or_default();
        // Never more than is needed: what is kept counts as room too.
        buffer.reserve_exact(bytes);
        Ok(Buffer {
            bytes: buffer,
            lender: self.0.clone(),
            _room: room,
        })
    }
}

/// Memory that is in use. It is free again when the bytes that it has become are gone.
pub(crate) struct Buffer {
    pub(super) bytes: Vec<u8>,
    lender: Arc<Shared>,
    _room: OwnedSemaphorePermit,
}

impl Buffer {
    /// Adds bytes.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What it holds, to be sent.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let is_last =
            self.lender.room.available_permits() + self._room.num_permits() >= self.lender.kib_max as usize;
        let mut kept = self.lender.kept.lock();
        if is_last {
            kept.clear();
        } else if bytes.capacity() >= KEPT_BYTES_MIN {
            bytes.clear();
            kept.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_used_again_as_long_as_something_is_sent() {
        let buffers = Buffers::new(4 << 10);
        let first = buffers.buffer(2 << 20).await.unwrap();
        let mut second = buffers.buffer(2 << 20).await.unwrap();
        second.extend(b"abc");
        let place = second.bytes.as_ptr();
        let bytes = second.freeze();
        assert_eq!(&bytes[..], b"abc");
        let clone = bytes.clone();
        drop(bytes);
        let waiting = buffers.buffer(1 << 20);
        let mut waiting = std::pin::pin!(waiting);
        assert!(
            futures_util::poll!(&mut waiting).is_pending(),
            "all of it is in use"
        );
        drop(clone);
        let third = waiting.await.unwrap();
        assert_eq!(third.bytes.as_ptr(), place, "used again");
        assert!(third.bytes.is_empty());
        drop((first, third));
        assert!(
            buffers.0.kept.lock().is_empty(),
            "nothing is kept while nothing is sent"
        );
        // More than there is goes alone.
        drop(buffers.buffer(9 << 20).await.unwrap());
    }
}
