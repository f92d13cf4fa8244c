//! Objects in a store on the network that are put together over a long time, by one process after another: the store's own
//! multipart uploads, by the names that the store gives them.

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::{Error, ObjectStoreExt as _, PutPayload};
use tokio::task::JoinHandle;

use super::Blobs;
use crate::FilesError;

/// What stores answer if parts are to be put together that they have not, or have put together before.
const NO_SUCH_PARTS: &[&str] = &["NoSuchUpload", "InvalidBlockList"];

/// A part on its way to a store; what comes of it is the store's name for it. It goes on if nobody waits for it any more.
pub(crate) type SentPart = JoinHandle<Result<String, FilesError>>;

impl Blobs {
    /// Begins an object, and notes of it that it is `owner`'s: who removes the owner has to [`abandon`](Self::abandon) it, and
    /// if that is never done whoever collects garbage finds the note. Gives the store's name for what was begun.
    pub(crate) async fn begin(&self, key: &str, owner: &str) -> Result<String, FilesError> {
        let store = self.multiparts().ok_or_else(no_multiparts)?;
        let path = self.path_of(key);
        let id = store.create_multipart(&path).await?;
        if let Err(error) = self.note(&noted(key, owner), &id).await {
            // There is nothing in it yet: at worst its name is kept.
            let _ = store.abort_multipart(&path, &id).await;
            return Err(error);
        }
        Ok(id)
    }

    /// Sends a part of what was begun. `kept` is held until the store has it or never will.
    pub(crate) fn send_part<K: Send + 'static>(
        &self,
        key: &str,
        id: &str,
        number: usize,
        bytes: Bytes,
        kept: K,
    ) -> SentPart {
        let (store, path, id) = (self.multiparts(), self.path_of(key), id.to_owned());
        tokio::spawn(async move {
            let _kept = kept;
            let store = store.ok_or_else(no_multiparts)?;
            let sent = store.put_part(&path, &id, number, PutPayload::from(bytes)).await;
            match sent {
                Ok(part) => Ok(part.content_id),
                Err(Error::NotFound { .. }) => Err(FilesError::UploadExpired),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Puts the parts together, of which there are this many bytes. It may have been done before.
    ///
    /// # Errors
    /// [`FilesError::UploadExpired`] if the store has forgotten them.
    pub(crate) async fn complete(
        &self,
        key: &str,
        id: &str,
        parts: Vec<String>,
        bytes: u64,
    ) -> Result<(), FilesError> {
        let store = self.multiparts().ok_or_else(no_multiparts)?;
        let path = self.path_of(key);
        let parts = parts.into_iter().map(|content_id| PartId { content_id });
        let completed = store
            .complete_multipart(&path, &id.to_owned(), parts.collect())
            .await;
        let is_unknown = match &completed {
            Ok(_) => return Ok(()),
            Err(Error::NotFound { .. }) => true,
            Err(error) => {
                let text = error.to_string();
                NO_SUCH_PARTS.iter().any(|code| text.contains(code))
            }
        };
        if is_unknown {
            // Its answer was lost, if it was done before.
            return match self.objects().head(&path).await {
                Ok(found) if found.size == bytes => Ok(()),
                Ok(_) | Err(Error::NotFound { .. }) => Err(FilesError::UploadExpired),
                Err(error) => Err(error.into()),
            };
        }
        completed.map(drop).map_err(FilesError::from)
    }

    /// Makes the store forget what was begun, and what was put together of it if `is_whole`.
    pub(crate) async fn abandon(
        &self,
        key: &str,
        owner: &str,
        id: &str,
        is_whole: bool,
    ) -> Result<(), FilesError> {
        self.abort(key, id).await?;
        if is_whole {
            self.delete(key).await?;
        }
        self.remove(&self.note_path(&noted(key, owner))).await
    }

    /// Strikes the note on an object that is there and in use.
    pub(crate) async fn settle(&self, key: &str, owner: &str) {
        self.strike_note(&noted(key, owner)).await;
    }

    /// Makes the store forget the parts of an object that was begun, if it has not already.
    pub(super) async fn abort(&self, key: &str, id: &str) -> Result<(), FilesError> {
        let Some(store) = self.multiparts() else {
            return Ok(());
        };
        match store.abort_multipart(&self.path_of(key), &id.to_owned()).await {
            // It was finished, or forgotten before.
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a note is called by that an owner has on a key; see [`split_noted`].
fn noted(key: &str, owner: &str) -> String {
    format!("{key}.{owner}")
}

/// The key that a note is on, and its owner if it has one.
pub(super) fn split_noted(noted: &str) -> (&str, Option<&str>) {
    match noted.split_once('.') {
        Some((key, owner)) => (key, Some(owner)),
        None => (noted, None),
    }
}

fn no_multiparts() -> FilesError {
    FilesError::Internal("this store takes no objects in parts".to_owned())
}
