//! Engines to test with: on the in-memory store, with a clock that the test owns.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andiron_engine::{Caller, Committed, Engine, EngineError, EngineOptions, StoredDocument, Surroundings};
use andiron_protocol::{CommitBody, DocumentPath, Timestamp};
use andiron_store::Store;
use andiron_store::memory::MemoryStore;
use andiron_store_sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// The owner of the data: passes every rule, but system collections are closed to it.
pub(crate) const OWNER: Caller = Caller::Owner;

/// 2026-11-22T05:40:35Z in microseconds.
pub(crate) const START_MICROS: i64 = 1_795_326_035_000_000;

/// An engine with the clock that drives it.
pub(crate) struct TestEngine {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<AtomicI64>,
    /// Held so that it stays while the engine runs.
    folder: Option<TempDir>,
}

impl TestEngine {
    /// An engine on an empty in-memory store.
    pub(crate) fn start() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    /// An engine on SQLite in a fresh folder, which goes away with it.
    pub(crate) fn start_on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
        let mut test = Self::over(Arc::new(store));
        test.folder = Some(folder);
        test
    }

    /// An engine over a store.
    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self::over_with(store, |_| {})
    }

    /// An engine over a store, with its surroundings changed.
    pub(crate) fn over_with(store: Arc<dyn Store>, change: impl FnOnce(&mut Surroundings)) -> Self {
        let clock = Arc::new(AtomicI64::new(START_MICROS));
        let mut surroundings = Surroundings::system();
        let now = Arc::clone(&clock);
        surroundings.now = Arc::new(move || Timestamp::from_micros_clamped(now.load(Ordering::SeqCst)));
        change(&mut surroundings);
        let engine = Engine::open(store, EngineOptions::default(), surroundings).unwrap();
        Self {
            engine,
            clock,
            folder: None,
        }
    }

    /// Commits a body of the wire as the owner.
    pub(crate) async fn commit(&self, body: Json) -> Result<Committed, EngineError> {
        self.engine.commit(&OWNER, commit_body(body), None).await
    }

    /// Commits writes that must succeed.
    pub(crate) async fn write(&self, writes: Json) -> Committed {
        self.commit(json!({ "writes": writes })).await.unwrap()
    }

    /// A document's data, null if it is absent.
    pub(crate) fn data(&self, path: &str) -> Json {
        self.document(path).map_or(Json::Null, |document| {
            serde_json::from_str(&document.data).unwrap()
        })
    }

    /// A document.
    pub(crate) fn document(&self, path: &str) -> Option<StoredDocument> {
        self.engine.get(&OWNER, &document_path(path)).unwrap()
    }

    /// Moves the clock, also backwards.
    pub(crate) fn advance_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        self.engine.close();
    }
}

pub(crate) fn commit_body(body: Json) -> CommitBody {
    serde_json::from_str(&body.to_string()).unwrap()
}

pub(crate) fn document_path(path: &str) -> DocumentPath {
    path.parse().unwrap()
}
