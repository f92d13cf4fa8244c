//! What happens when the store fails, and how many syncs there are when it does not.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use andiron_engine::EngineError;
use andiron_protocol::{DocumentPath, ErrorCode, Version};
use andiron_store::memory::MemoryStore;
use andiron_store::{
    Commit, CommitOutcome, Group, IndexDefinition, IndexId, LogRetention, Snapshot, Store, StoreError,
    TrimOutcome,
};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{OWNER, TestEngine, commit_body};

/// What the next group does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    FullOnApply,
    FullOnFinish,
    SyncFailed,
    PanicOnApply,
}

/// A store that fails on demand, counts syncs, and lets a test hold up the writer.
#[derive(Default)]
struct FaultyStore {
    inner: MemoryStore,
    fault: Mutex<Option<Fault>>,
    /// If set, each group waits here before it begins.
    gate: Mutex<Option<Receiver<()>>>,
    begun: Mutex<Option<Sender<()>>>,
    syncs: AtomicUsize,
}

struct FaultyGroup<'s> {
    inner: Box<dyn Group + 's>,
    store: &'s FaultyStore,
}

impl Store for FaultyStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.inner.snapshot()
    }

    fn begin(&self) -> Result<Box<dyn Group + '_>, StoreError> {
        if let Some(begun) = &*self.begun.lock() {
            let _ = begun.send(());
        }
        if let Some(gate) = &*self.gate.lock() {
            let _ = gate.recv();
        }
        Ok(Box::new(FaultyGroup {
            inner: self.inner.begin()?,
            store: self,
        }))
    }

    fn backup(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.inner.backup(target, progress)
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        self.inner.check()
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.inner.size_bytes()
    }
}

impl Group for FaultyGroup<'_> {
    fn snapshot(&self) -> &dyn Snapshot {
        self.inner.snapshot()
    }

    fn last_version(&self) -> Version {
        self.inner.last_version()
    }

    fn apply(&mut self, commit: &Commit, version: Version) -> Result<CommitOutcome, StoreError> {
        let mut fault = self.store.fault.lock();
        match *fault {
            Some(Fault::FullOnApply) => {
                *fault = None;
                Err(StoreError::Full)
            }
            Some(Fault::PanicOnApply) => {
                *fault = None;
                drop(fault);
                panic!("a fault that a test asked for");
            }
            _ => self.inner.apply(commit, version),
        }
    }

    fn create_index(&mut self, definition: &IndexDefinition) -> Result<IndexId, StoreError> {
        self.inner.create_index(definition)
    }

    fn add_entries(&mut self, index: IndexId, entries: &[(Vec<u8>, DocumentPath)]) -> Result<(), StoreError> {
        self.inner.add_entries(index, entries)
    }

    fn finish_index(&mut self, index: IndexId) -> Result<(), StoreError> {
        self.inner.finish_index(index)
    }

    fn drop_index(&mut self, index: IndexId) -> Result<(), StoreError> {
        self.inner.drop_index(index)
    }

    fn sweep(&mut self, entries_max: u64) -> Result<bool, StoreError> {
        self.inner.sweep(entries_max)
    }

    fn trim_log(&mut self, retention: LogRetention) -> Result<TrimOutcome, StoreError> {
        self.inner.trim_log(retention)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        match self.store.fault.lock().take() {
            Some(Fault::FullOnFinish) => return Err(StoreError::Full),
            Some(Fault::SyncFailed) => {
                return Err(StoreError::SyncFailed {
                    detail: "input/output error".to_owned(),
                });
            }
            other => assert_eq!(other, None, "a fault was set and never met"),
        }
        self.store.syncs.fetch_add(1, Ordering::SeqCst);
        self.inner.finish()
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_writes_resume_when_there_is_space() {
    for fault in [Fault::FullOnApply, Fault::FullOnFinish] {
        let store = Arc::new(FaultyStore::default());
        let test = TestEngine::over(Arc::clone(&store) as _);
        test.write(json!([{"set": "a/1", "data": {"n": 1}}])).await;
        *store.fault.lock() = Some(fault);
        let error = test
            .commit(json!({"writes": [{"set": "a/1", "data": {"n": 2}}]}))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable, "{fault:?}");
        assert_eq!(error.to_string(), "the disk that holds the data is full");
        assert_eq!(
            test.data("a/1"),
            json!({"n": 1}),
            "{fault:?}: reads go on and see nothing of it"
        );
        test.write(json!([{"set": "a/1", "data": {"n": 3}}])).await;
        assert_eq!(test.data("a/1"), json!({"n": 3}));
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more_and_the_process_is_told() {
    let store = Arc::new(FaultyStore::default());
    let fatal = Arc::new(AtomicUsize::new(0));
    let test = TestEngine::over_with(Arc::clone(&store) as _, |surroundings| {
        let fatal = Arc::clone(&fatal);
        surroundings.on_fatal = Arc::new(move |_| {
            fatal.fetch_add(1, Ordering::SeqCst);
        });
    });
    *store.fault.lock() = Some(Fault::SyncFailed);
    let error = test
        .commit(json!({"writes": [{"set": "a/1", "data": {}}]}))
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert_eq!(fatal.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        let error = test
            .commit(json!({"writes": [{"set": "a/1", "data": {}}]}))
            .await
            .unwrap_err();
        assert!(matches!(error, EngineError::Closed));
    }
    assert_eq!(fatal.load(Ordering::SeqCst), 1);
    assert_eq!(store.syncs.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_while_writing_undoes_its_group_and_the_writer_lives() {
    let store = Arc::new(FaultyStore::default());
    let test = TestEngine::over(Arc::clone(&store) as _);
    *store.fault.lock() = Some(Fault::PanicOnApply);
    test.commit(json!({"writes": [{"set": "a/1", "data": {}}]}))
        .await
        .unwrap_err();
    assert_eq!(test.data("a/1"), json!(null));
    test.write(json!([{"set": "a/2", "data": {}}])).await;
    assert_eq!(test.data("a/2"), json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_writer_is_one_group_with_one_sync_and_a_refusal_undoes_only_itself() {
    let store = Arc::new(FaultyStore::default());
    let test = TestEngine::over(Arc::clone(&store) as _);
    test.write(json!([{"set": "hot/1", "data": {"n": 0}}, {"set": "a/taken", "data": {}}]))
        .await;
    let (open, gate) = channel();
    let (begun, begins) = channel();
    *store.gate.lock() = Some(gate);
    *store.begun.lock() = Some(begun);
    let commit = |body: serde_json::Value| {
        let engine = test.engine.clone();
        tokio::spawn(async move {
            engine
                .commit(&OWNER, commit_body(json!({ "writes": [body] })), None)
                .await
        })
    };
    let first = commit(json!({"set": "a/first", "data": {}}));
    // The writer holds the first group; whatever comes now waits together.
    tokio::task::spawn_blocking(move || begins.recv().unwrap())
        .await
        .unwrap();
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for number in 0..50 {
        good.push(commit(json!({"merge": "hot/1", "data": {"n": {"$inc": 1}}})));
        good.push(commit(json!({"create": format!("a/{number}"), "data": {}})));
        bad.push(commit(json!({"create": "a/taken", "data": {}})));
    }
    while test.engine.waiting_commits() < 150 {
        tokio::task::yield_now().await;
    }
    let before = store.syncs.load(Ordering::SeqCst);
    *store.begun.lock() = None;
    open.send(()).unwrap();
    open.send(()).unwrap();
    first.await.unwrap().unwrap();
    for task in good {
        task.await.unwrap().unwrap();
    }
    for task in bad {
        assert_eq!(task.await.unwrap().unwrap_err().code(), ErrorCode::AlreadyExists);
    }
    assert_eq!(
        store.syncs.load(Ordering::SeqCst) - before,
        2,
        "the group that was held up, and one for all the rest"
    );
    assert_eq!(test.data("hot/1"), json!({"n": 50}));
    // Let later groups (closing) through.
    drop(open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_answered_by_what_is_not_on_disk_yet() {
    let store = Arc::new(FaultyStore::default());
    let test = TestEngine::over(Arc::clone(&store) as _);
    let (open, gate) = channel();
    let (begun, begins) = channel();
    *store.gate.lock() = Some(gate);
    *store.begun.lock() = Some(begun);
    let commit = |body: serde_json::Value, key: Option<&'static str>| {
        let engine = test.engine.clone();
        tokio::spawn(async move {
            let body = commit_body(json!({ "writes": [body] }));
            engine.commit(&OWNER, body, key).await
        })
    };
    let first = commit(json!({"set": "a/first", "data": {}}), None);
    tokio::task::spawn_blocking(move || begins.recv().unwrap())
        .await
        .unwrap();
    // One group with a commit, its retry, and one that the commit makes impossible.
    let create = json!({"create": "a/1", "data": {}});
    let waiting = [
        commit(create.clone(), Some("retried")),
        commit(create.clone(), Some("retried")),
        commit(create, None),
    ];
    while test.engine.waiting_commits() < waiting.len() {
        tokio::task::yield_now().await;
    }
    *store.begun.lock() = None;
    open.send(()).unwrap();
    first.await.unwrap().unwrap();
    *store.fault.lock() = Some(Fault::FullOnFinish);
    open.send(()).unwrap();
    for task in waiting {
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
    }
    assert_eq!(test.data("a/1"), json!(null));
    drop(open);
}
