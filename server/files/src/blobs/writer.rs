//! Bytes on their way into a store: collected to parts, of which a few are being sent while the next is collected.

use std::collections::VecDeque;

use bytes::Bytes;
use object_store::{MultipartId, MultipartUpload, ObjectStoreExt as _};

use super::{Blobs, LiveKey, SentPart, Spool};
use crate::FilesError;

/// Bytes on their way into the store. What is dropped before it is finished leaves nothing.
pub(crate) struct BlobWriter {
    blobs: Blobs,
    key: String,
    part_bytes: usize,
    pending: Spool,
    /// Bytes of the parts that were sent.
    sent: u64,
    begun: Option<Box<Begun>>,
    in_flight: VecDeque<SentPart>,
}

/// An object of which a first part is on its way.
enum Begun {
    /// In a store that forgets what was not finished.
    Unnamed(Box<dyn MultipartUpload>),
    /// In one that keeps it, under a name of its own, until it is told otherwise.
    Named {
        id: MultipartId,
        /// The store's names for them.
        parts: Vec<String>,
        sent: usize,
        _live: LiveKey,
    },
}

impl BlobWriter {
    pub(super) fn new(blobs: &Blobs, key: &str) -> Self {
        Self {
            part_bytes: blobs.part_bytes(0),
            blobs: blobs.clone(),
            key: key.to_owned(),
            pending: blobs.spool(),
            sent: 0,
            begun: None,
            in_flight: VecDeque::new(),
        }
    }

    /// The same, for at most this many bytes: parts are as large as their number demands.
    pub(crate) fn for_bytes(mut self, bytes_max: u64) -> Self {
        self.part_bytes = self.blobs.part_bytes(bytes_max);
        self
    }

    /// Takes more bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Only once there is more: what fits into one part is put in one request.
            if self.pending.len() == self.part_bytes {
                self.send_part().await?;
            }
            let room = self.part_bytes - self.pending.len();
            let (now, later) = rest.split_at(rest.len().min(room));
            self.pending.push(now).await?;
            rest = later;
        }
        Ok(())
    }

    /// Makes the bytes last, and readable under their key.
    pub(crate) async fn finish(mut self) -> Result<(), FilesError> {
        if self.begun.is_none() {
            let bytes = self.pending().await?;
            return self.blobs.put(&self.key, bytes).await;
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        while !self.in_flight.is_empty() {
            self.await_part().await?;
        }
        match self.begun.as_deref_mut() {
            Some(Begun::Unnamed(upload)) => {
                upload.complete().await?;
            }
            Some(Begun::Named { id, parts, .. }) => {
                let parts = std::mem::take(parts);
                self.blobs.complete(&self.key, id, parts, self.sent).await?;
                // It is there. A note that stays is found to be of no more use later.
                self.blobs.strike_note(&self.key).await;
            }
            None => {}
        }
        self.begun = None;
        Ok(())
    }

    /// Sends what is pending, while the next is collected.
    async fn send_part(&mut self) -> Result<(), FilesError> {
        while self.in_flight.len() >= self.blobs.parts_at_once() {
            self.await_part().await?;
        }
        self.begin().await?;
        let part = self.pending().await?;
        // For the next at once: growing to it piece by piece takes twice as much.
        self.pending.reserve(part.len());
        self.sent += part.len() as u64;
        let sending = self.sending(part);
        self.in_flight.extend(sending);
        Ok(())
    }

    /// What is pending, in memory; there is nothing pending afterwards.
    async fn pending(&mut self) -> Result<Bytes, FilesError> {
        if !self.blobs.is_remote()
            && let Some(bytes) = self.pending.take_memory()
        {
            return Ok(bytes);
        }
        let buffer = self.blobs.buffer(self.pending.len()).await?;
        Ok(self.pending.take_into(buffer).await?.freeze())
    }

    async fn begin(&mut self) -> Result<(), FilesError> {
        if self.begun.is_some() {
            return Ok(());
        }
        self.begun = Some(Box::new(match self.blobs.multiparts() {
            None => Begun::Unnamed(
                self.blobs
                    .objects()
                    .put_multipart(&self.blobs.path_of(&self.key))
                    .await?,
            ),
            Some(store) => {
                let live = self.blobs.live(&self.key);
                let id = store.create_multipart(&self.blobs.path_of(&self.key)).await?;
                let begun = Begun::Named {
                    id: id.clone(),
                    parts: Vec::new(),
                    sent: 0,
                    _live: live,
                };
                // Kept first, so that it is taken back if the note cannot be written.
                self.begun = Some(Box::new(begun));
                self.blobs.note(&self.key, &id).await?;
                return Ok(());
            }
        }));
        Ok(())
    }

    fn sending(&mut self, part: Bytes) -> Option<SentPart> {
        Some(match self.begun.as_deref_mut()? {
            Begun::Unnamed(upload) => {
                let putting = upload.put_part(part.into());
                tokio::spawn(async move {
                    putting.await?;
                    // It has no name of its own.
                    Ok(String::new())
                })
            }
            Begun::Named { id, sent, .. } => {
                let number = *sent;
                *sent += 1;
                self.blobs.send_part(&self.key, id, number, part, ())
            }
        })
    }

    /// Waits for the oldest part under way.
    async fn await_part(&mut self) -> Result<(), FilesError> {
        let Some(oldest) = self.in_flight.pop_front() else {
            return Ok(());
        };
        let sent = oldest
            .await
            .map_err(|error| FilesError::Internal(format!("a part was not written: {error}")))??;
        if let Some(Begun::Named { parts, .. }) = self.begun.as_deref_mut() {
            parts.push(sent);
        }
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        let (Some(begun), Ok(runtime)) = (self.begun.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let in_flight = std::mem::take(&mut self.in_flight);
        let (blobs, key) = (self.blobs.clone(), std::mem::take(&mut self.key));
        runtime.spawn(async move {
            for part in in_flight {
                // Whatever became of it, it is not wanted any more.
                let _ = part.await;
            }
            let aborted = match *begun {
                Begun::Unnamed(mut upload) => upload.abort().await.map_err(FilesError::from),
                Begun::Named { id, .. } => match blobs.abort(&key, &id).await {
                    Ok(()) => {
                        blobs.strike_note(&key).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = aborted {
                tracing::debug!(%error, "the parts of an upload that was broken off stay until they are collected");
            }
        });
    }
}
