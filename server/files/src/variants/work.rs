//! Where variants are made: off the threads that answer, a few at once, each wish once however many have it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};

use super::Variant;
use crate::{FilesError, StoredFile};

/// Variants that may be wanted and not made; more are turned away.
const WAITING_MAX: usize = 64;
/// How long a variant is waited for. It is made all the same, for who comes later.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How much AVIF gives way to everything else, as `nice` has it: a picture takes a second and more.
#[cfg(target_os = "linux")]
const AVIF_NICE: i32 = 10;
/// What memory is counted in.
const MIB: u64 = 1 << 20;

/// A variant of the bytes under a key.
type Wish = (String, Variant);

/// What came of a wish, for everybody who had it. A failure is told to all of them alike.
pub(super) type Outcome = Result<Arc<StoredFile>, Arc<FilesError>>;

/// Variants that are being made.
pub(crate) struct VariantWork {
    wishes: Mutex<HashMap<Wish, Weak<OnceCell<Outcome>>>>,
    /// Memory for all of them, in MiB.
    memory: Arc<Semaphore>,
    memory_mib: u32,
    /// As many are made at a time as there are processors: more would take more memory and no less time.
    processors: Arc<Semaphore>,
    /// AVIFs that are made at a time, beside the others: half as many, so that nobody waits for a thumbnail behind them.
    avifs: Arc<Semaphore>,
}

impl VariantWork {
    /// Work that takes at most so much memory at a time.
    pub(crate) fn new(memory_bytes_max: u64) -> Self {
        let memory_mib = u32::try_from(memory_bytes_max / MIB)
            .unwrap_or(u32::MAX >> 3)
            .clamp(1, u32::MAX >> 3);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            wishes: Mutex::default(),
            memory: Arc::new(Semaphore::new(memory_mib as usize)),
            memory_mib,
            processors: Arc::new(Semaphore::new(processors)),
            avifs: Arc::new(Semaphore::new((processors / 2).max(1))),
        }
    }

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

    /// Waits for its turn and for this much memory; all that there is if it is not known how much.
    ///
    /// # Errors
    /// If there is never so much.
    pub(super) async fn room(&self, is_avif: bool, memory_bytes: Option<u64>) -> Result<Room, FilesError> {
        let mib = match memory_bytes {
            None => self.memory_mib,
            Some(bytes) => u32::try_from(bytes.div_ceil(MIB))
                .ok()
                .filter(|mib| *mib <= self.memory_mib)
                .ok_or_else(|| self.too_much())?,
        };
        let closed = |_| FilesError::Internal("variants are not made any more".to_owned());
        // The turn first: memory is not held by who waits for anything else.
        let turns = if is_avif { &self.avifs } else { &self.processors };
        let turn = Arc::clone(turns).acquire_owned().await.map_err(closed)?;
        let memory = Arc::clone(&self.memory)
            .acquire_many_owned(mib)
            .await
            .map_err(closed)?;
        Ok(Room {
            memory_bytes: u64::from(mib) * MIB,
            is_avif,
            _held: (turn, memory),
        })
    }

    pub(super) fn too_much(&self) -> FilesError {
        FilesError::ImageMemory {
            bytes_max: u64::from(self.memory_mib) * MIB,
        }
    }
}

/// A turn and memory for one variant, until it is dropped.
pub(super) struct Room {
    /// How much.
    pub memory_bytes: u64,
    is_avif: bool,
    _held: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Room {
    /// Runs something in it, on a thread where it may take long.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let is_avif = self.is_avif;
        let work = move || {
            let done = work();
            // Held until the memory is free again, also if nobody waits any more.
            drop(self);
            done
        };
        let ended =
            |error: &dyn std::fmt::Display| FilesError::Internal(format!("a variant was not made: {error}"));
        if !is_avif {
            let done = tokio::task::spawn_blocking(work).await;
            return done.map_err(|error| ended(&error))?;
        }
        // A thread that has stepped back cannot come forward again, so it is nobody else's.
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::Builder::new().name("andiron-avif".to_owned());
        thread
            .spawn(move || {
                stand_back();
                // Nobody may wait for it any more.
                let _ = answer.send(work());
            })
            .map_err(|error| ended(&error))?;
        answered.await.map_err(|error| ended(&error))?
    }
}

#[cfg(target_os = "linux")]
fn stand_back() {
    // Of one thread, here; a system that refuses it has it stand level.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), AVIF_NICE);
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}
