//! Where variants are made: off the threads that answer, a few at once, each wish once however many have it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};

use super::Variant;
use crate::{FilesError, StoredFile};

/// Memory in MiB for all images that are decoded at one time.
const MEMORY_MIB: u32 = 512;
/// Memory for a pixel while a variant is made: as it is decoded, and once more turned or cut.
const PIXEL_BYTES: u64 = 8;
/// Variants that may be wanted and not made; more are turned away.
const WAITING_MAX: usize = 64;
/// How long a variant is waited for. It is made all the same, for who comes later.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A variant of the bytes under a key.
type Wish = (String, Variant);

/// What came of a wish, for everybody who had it. A failure is told to all of them alike.
pub(super) type Outcome = Result<Arc<StoredFile>, Arc<FilesError>>;

/// Variants that are being made.
pub(crate) struct VariantWork {
    wishes: Mutex<HashMap<Wish, Weak<OnceCell<Outcome>>>>,
    memory: Arc<Semaphore>,
}

impl Default for VariantWork {
    fn default() -> Self {
        Self {
            wishes: Mutex::default(),
            memory: Arc::new(Semaphore::new(MEMORY_MIB as usize)),
        }
    }
}

impl VariantWork {
    /// Gives what came of a wish; whoever has it first lets it be made.
    pub(super) async fn fulfil(
        &self,
        wish: Wish,
        make: impl Future<Output = Outcome> + Send + 'static,
    ) -> Outcome {
        let cell = self.cell(wish)?;
        let waiting = cell.get_or_init(|| async move {
            // Its own task: that the first client goes away is nothing to the others.
            match tokio::spawn(make).await {
                Ok(outcome) => outcome,
                Err(error) => Err(Arc::new(FilesError::Internal(format!(
                    "a variant was not made: {error}"
                )))),
            }
        });
        match tokio::time::timeout(WAIT_MAX, waiting).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => Err(Arc::new(FilesError::VariantsBusy)),
        }
    }

    fn cell(&self, wish: Wish) -> Result<Arc<OnceCell<Outcome>>, Arc<FilesError>> {
        let mut wishes = self.wishes.lock();
        if let Some(cell) = wishes.get(&wish).and_then(Weak::upgrade) {
            return Ok(cell);
        }
        wishes.retain(|_, cell| cell.strong_count() > 0);
        if wishes.len() >= WAITING_MAX {
            return Err(Arc::new(FilesError::VariantsBusy));
        }
        let cell = Arc::default();
        wishes.insert(wish, Arc::downgrade(&cell));
        Ok(cell)
    }

    /// Runs something that takes memory for this many pixels, once there is memory for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        pixels: u64,
        work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let mib = (pixels * PIXEL_BYTES) >> 20;
        let mib = u32::try_from(mib)
            .unwrap_or(MEMORY_MIB)
            .clamp(MEMORY_MIB / 4, MEMORY_MIB);
        let memory = Arc::clone(&self.memory).acquire_many_owned(mib).await;
        tokio::task::spawn_blocking(move || {
            let done = work();
            // Held until the memory is free again, also if nobody waits any more.
            drop(memory);
            done
        })
        .await
        .map_err(|error| FilesError::Internal(format!("a variant was not made: {error}")))?
    }
}
