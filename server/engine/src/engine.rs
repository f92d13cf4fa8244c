//! The engine: one value that owns a store, its writer, its cache and its indexes.

use std::sync::Arc;

use andiron_protocol::{Timestamp, Version};
use andiron_store::{LogInfo, Store};
use arc_swap::ArcSwap;

use crate::cache::DocumentCache;
use crate::committer::Committer;
use crate::ids::IdGenerator;
use crate::indexes::{IndexManager, IndexSet};
#[cfg(feature = "simulation")]
use crate::live::LiveHand;
use crate::live::{Inbox, LiveThreads};
use crate::maintenance::MaintenanceThread;
use crate::query::ScanPool;
use crate::rules::RulesPlace;
use crate::{EngineError, EngineMetrics, EngineOptions, Surroundings};

/// Reads, commits and queries over one store. Cheap to clone; all clones are the same engine. There may be many engines
/// in a process, each with a store of its own.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) scans: Arc<ScanPool>,
    pub(crate) indexes: Arc<IndexManager>,
    pub(crate) live: Arc<LiveThreads>,
    maintenance: Arc<MaintenanceThread>,
}

/// What the engine's threads share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: EngineOptions,
    pub(crate) surroundings: Surroundings,
    pub(crate) indexes: ArcSwap<IndexSet>,
    pub(crate) rules: RulesPlace,
    pub(crate) cache: DocumentCache,
    pub(crate) ids: IdGenerator,
    pub(crate) metrics: EngineMetrics,
    pub(crate) live: Arc<Inbox>,
}

impl Engine {
    /// Opens an engine over a store and starts its threads.
    ///
    /// # Errors
    /// If the store cannot be read or a thread cannot be started.
    pub fn open(
        store: Arc<dyn Store>,
        options: EngineOptions,
        surroundings: Surroundings,
    ) -> Result<Self, EngineError> {
        Self::open_with(store, options, surroundings, LiveThreads::start)
    }

    /// Opens an engine whose live queries are taken forward by hand.
    ///
    /// # Errors
    /// As [`Engine::open`].
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn open_by_hand(
        store: Arc<dyn Store>,
        options: EngineOptions,
        surroundings: Surroundings,
    ) -> Result<(Self, LiveHand), EngineError> {
        let without_threads =
            |shared: Arc<Shared>, _, _| Ok(LiveThreads::without_threads(Arc::clone(&shared.live)));
        let engine = Self::open_with(store, options, surroundings, without_threads)?;
        let hand = LiveHand::new(&engine.shared, &engine.indexes, &engine.committer);
        Ok((engine, hand))
    }

    fn open_with(
        store: Arc<dyn Store>,
        options: EngineOptions,
        surroundings: Surroundings,
        live: impl FnOnce(Arc<Shared>, Arc<IndexManager>, Arc<Committer>) -> Result<LiveThreads, EngineError>,
    ) -> Result<Self, EngineError> {
        let indexes = IndexSet::default().following(store.snapshot()?.indexes()?);
        let metrics = EngineMetrics::default();
        let shared = Arc::new(Shared {
            live: Arc::new(Inbox::new(&metrics)),
            cache: DocumentCache::new(options.cache_bytes_max),
            ids: IdGenerator::default(),
            metrics,
            indexes: ArcSwap::from_pointee(indexes),
            rules: RulesPlace::empty(),
            store,
            options,
            surroundings,
        });
        let committer = Arc::new(Committer::start(Arc::clone(&shared))?);
        let scans = Arc::new(ScanPool::start(&shared.options)?);
        let indexes = Arc::new(IndexManager::start(Arc::clone(&shared), Arc::clone(&committer))?);
        let maintenance = Arc::new(MaintenanceThread::start(
            Arc::clone(&shared),
            Arc::clone(&committer),
        )?);
        let live = Arc::new(live(
            Arc::clone(&shared),
            Arc::clone(&indexes),
            Arc::clone(&committer),
        )?);
        Ok(Self {
            shared,
            committer,
            scans,
            indexes,
            live,
            maintenance,
        })
    }

    /// Finishes the commits that were accepted, then stops the engine's threads. Blocks until they have stopped; what is
    /// asked afterwards is answered with [`EngineError::Closed`].
    pub fn close(&self) {
        self.maintenance.close();
        self.live.close();
        self.indexes.close();
        self.committer.close();
        self.scans.close();
    }

    /// A new document id: a lowercase ULID, greater than all that this engine gave before.
    pub fn generate_id(&self) -> String {
        self.shared.ids.generate(&self.shared.surroundings)
    }

    /// The time of day, as the engine sees it.
    pub fn now(&self) -> Timestamp {
        (self.shared.surroundings.now)()
    }

    /// Fills a buffer with unpredictable bytes.
    pub fn fill_random(&self, buffer: &mut [u8]) {
        (self.shared.surroundings.random)(buffer);
    }

    /// What the engine has counted since it was opened.
    pub fn metrics(&self) -> &EngineMetrics {
        &self.shared.metrics
    }

    /// The version of the newest commit, which also tells that the store can be read.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn version(&self) -> Result<Version, EngineError> {
        Ok(self.shared.store.snapshot()?.version()?)
    }

    /// Whether the engine takes commits: not any more once it is being closed.
    pub fn is_open(&self) -> bool {
        self.committer.is_open()
    }

    /// Commits that wait for the writer.
    pub fn waiting_commits(&self) -> usize {
        self.committer.waiting()
    }

    /// What the change log holds.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn log(&self) -> Result<LogInfo, EngineError> {
        Ok(self.shared.store.snapshot()?.log()?)
    }

    /// The store underneath, for backups and examinations.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }
}
