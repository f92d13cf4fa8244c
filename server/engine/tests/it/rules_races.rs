//! Rights that end, and rules that change, while a write is under way.

use std::ops::ControlFlow;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use andiron_engine::{Committed, EngineError, FileMethod, FileOperation};
use andiron_protocol::{ErrorCode, Map, Version};
use andiron_store::memory::MemoryStore;
use andiron_store::{Group, Snapshot, Store, StoreError};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value as Json, json};

use crate::rules_support::{page, rules, user, whole_rules};
use crate::support::{OWNER, TestEngine, commit_body, document_path};

/// Whoever has a role may write; the look-up is the only thing that tells.
const ROLES: &str = "
    match /posts/{id} {
      allow read: if true;
      allow write: if get(/databases/$(db)/documents/roles/$(request.auth.uid)).data.can == true;
    }
";

/// A store whose writer can be held up before it begins a group.
struct HeldStore {
    inner: Arc<dyn Store>,
    is_held: Mutex<bool>,
    released: Condvar,
    /// Runs once, before the next snapshot is taken.
    before_snapshot: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl HeldStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(MemoryStore::new()),
            is_held: Mutex::new(false),
            released: Condvar::new(),
            before_snapshot: Mutex::new(None),
        })
    }

    fn hold(&self) {
        *self.is_held.lock() = true;
    }

    fn release(&self) {
        *self.is_held.lock() = false;
        self.released.notify_all();
    }
}

impl Store for HeldStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        let hook = self.before_snapshot.lock().take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.snapshot()
    }

    fn begin(&self) -> Result<Box<dyn Group + '_>, StoreError> {
        let mut is_held = self.is_held.lock();
        self.released.wait_while(&mut is_held, |is_held| *is_held);
        drop(is_held);
        self.inner.begin()
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

type Answer<'f> = Pin<Box<dyn Future<Output = Result<Committed, EngineError>> + 'f>>;

/// Has a commit judged and queued, behind those begun before.
async fn begin<'f>(answer: impl Future<Output = Result<Committed, EngineError>> + 'f) -> Answer<'f> {
    let mut answer: Answer<'f> = Box::pin(answer);
    std::future::poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Pending => Poll::Ready(()),
        Poll::Ready(outcome) => panic!("answered before its turn: {outcome:?}"),
    })
    .await;
    answer
}

fn code(outcome: Result<Committed, EngineError>) -> Option<ErrorCode> {
    outcome.err().map(|error| error.code())
}

async fn held() -> (Arc<HeldStore>, TestEngine) {
    let store = HeldStore::new();
    let test = TestEngine::over(Arc::clone(&store) as Arc<dyn Store>);
    test.write(json!([
        {"set": "roles/alice", "data": {"can": true}},
        {"set": "roles/bob", "data": {"can": false}},
        {"set": "posts/p", "data": {"n": 0}},
    ]))
    .await;
    test.under(ROLES);
    // So that the cache has it.
    test.engine.get(&OWNER, &document_path("roles/alice")).unwrap();
    store.hold();
    (store, test)
}

#[tokio::test]
async fn a_right_that_ends_between_judgement_and_commit_ends_the_commit() {
    let alice = user("alice");
    for revocation in [
        json!({"delete": "roles/alice"}),
        json!({"merge": "roles/alice", "data": {"can": false}}),
    ] {
        for write in [
            json!({"create": "posts/new", "data": {}}),
            json!({"set": "posts/p", "data": {}}),
            json!({"merge": "posts/p", "data": {"n": 1}}),
            json!({"update": "posts/p", "data": {"n": 1}}),
            json!({"delete": "posts/p"}),
        ] {
            let (store, test) = held().await;
            let revoked = begin(test.commit(json!({"writes": [revocation]}))).await;
            let written = begin(test.commit_as(&alice, json!({"writes": [write]}))).await;
            store.release();
            assert_eq!(code(revoked.await), None);
            assert_eq!(code(written.await), Some(ErrorCode::PermissionDenied), "{write}");
            assert_eq!(test.data("posts/p"), json!({"n": 0}));
            assert_eq!(test.data("posts/new"), Json::Null);
        }
    }
}

#[tokio::test]
async fn a_right_that_is_touched_and_stays_lets_the_commit_through() {
    let (store, test) = held().await;
    let alice = user("alice");
    let touched = begin(test.commit(json!({"writes": [{"merge": "roles/alice", "data": {"n": 1}}]}))).await;
    let written = begin(test.commit_as(
        &alice,
        json!({"writes": [{"merge": "posts/p", "data": {"n": 1}}]}),
    ))
    .await;
    store.release();
    assert_eq!((code(touched.await), code(written.await)), (None, None));
}

#[tokio::test]
async fn a_document_that_changes_hands_between_judgement_and_commit_is_judged_anew() {
    let (store, test) = held().await;
    test.under("match /posts/{id} { allow create; allow write: if resource.data.n == 0; }");
    let alice = user("alice");
    let changed = begin(test.commit(json!({"writes": [{"merge": "posts/p", "data": {"n": 1}}]}))).await;
    let written = begin(test.commit_as(
        &alice,
        json!({"writes": [{"merge": "posts/p", "data": {"x": 1}}]}),
    ))
    .await;
    // What is there by now was taken to be absent.
    let created = begin(test.commit(json!({"writes": [{"create": "posts/q", "data": {"n": 1}}]}))).await;
    let create = json!({"writes": [{"create": "posts/q", "data": {}}]});
    let late = begin(test.commit_as(&alice, create)).await;
    store.release();
    assert_eq!((code(changed.await), code(created.await)), (None, None));
    assert_eq!(code(written.await), Some(ErrorCode::PermissionDenied));
    assert_eq!(
        code(late.await),
        Some(ErrorCode::PermissionDenied),
        "and nothing tells that it exists"
    );
}

#[tokio::test]
async fn rules_that_change_between_judgement_and_commit_judge_the_commit() {
    let (store, test) = held().await;
    let alice = user("alice");
    let write = |n: i32| json!({"writes": [{"merge": "posts/p", "data": {"n": n}}]});
    let begun = begin(test.commit_as(&alice, write(1))).await;
    test.engine
        .set_rules(Some(rules("2", "match /posts/{id} { allow write: if false; }")));
    store.release();
    assert_eq!(code(begun.await), Some(ErrorCode::PermissionDenied));

    store.hold();
    test.under(ROLES);
    let begun = begin(test.commit_as(&alice, write(2))).await;
    test.engine.set_rules(Some(rules("3", ROLES)));
    store.release();
    assert_eq!(code(begun.await), None, "the new rules let it through as well");

    store.hold();
    let begun = begin(test.commit_as(&alice, write(3))).await;
    test.engine.set_rules(None);
    store.release();
    assert_eq!(code(begun.await), Some(ErrorCode::PermissionDenied));
    assert_eq!(test.data("posts/p"), json!({"n": 2}));
}

#[tokio::test]
async fn a_permit_for_a_file_ends_with_the_rules_that_gave_it() {
    let (store, test) = held().await;
    let storage = |condition: &str| {
        whole_rules(
            condition,
            &format!(
                "rules_version = '2';\nservice firebase.storage {{ match /b/{{b}}/o/{{n=**}} {{ \
                 allow create: if {condition}; }} }}\n"
            ),
        )
    };
    test.engine.set_rules(Some(storage("request.auth != null")));
    let permit = || {
        let judge = test.engine.file_judge(&user("alice"), "b").unwrap();
        judge
            .decide(FileOperation {
                method: FileMethod::Create,
                bucket: "b",
                name: "n",
                before: None,
                after: Some(&Map::new()),
                unknown: &[],
            })
            .unwrap()
    };
    let note = |id: &str| commit_body(json!({"writes": [{"set": format!("notes/{id}"), "data": {}}]}));
    let late = begin(test.engine.commit_with_permit(permit(), note("late"))).await;
    test.engine.set_rules(Some(storage("request.auth.uid == 'bob'")));
    store.release();
    assert_eq!(code(late.await), Some(ErrorCode::Aborted));
    assert_eq!(test.data("notes/late"), Json::Null);

    test.engine.set_rules(Some(storage("request.auth != null")));
    let in_time = test.engine.commit_with_permit(permit(), note("in-time")).await;
    assert_eq!(code(in_time), None);
}

#[tokio::test]
async fn what_administrators_do_is_not_held_up_by_rules() {
    let (store, test) = held().await;
    let begun = begin(test.commit(json!({"writes": [{"merge": "posts/p", "data": {"n": 5}}]}))).await;
    test.engine.set_rules(None);
    store.release();
    assert_eq!(code(begun.await), None);
}

/// Alice writes as fast as she can while her right is given and taken. No version at which she wrote may lie in a time
/// in which she had no right.
async fn no_write_comes_after_a_revocation(test: TestEngine) {
    test.under(ROLES);
    test.write(json!([{"set": "roles/alice", "data": {"can": false}}]))
        .await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|number| {
            let (engine, is_over) = (test.engine.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut written: Vec<Version> = Vec::new();
                let alice = user("alice");
                while !is_over.load(Ordering::SeqCst) {
                    let path = format!("posts/{number}");
                    let body = commit_body(json!({"writes": [{"merge": path, "data": {"n": {"$inc": 1}}}]}));
                    match engine.commit(&alice, body, None).await {
                        Ok(committed) => written.push(committed.version),
                        Err(error) => assert_eq!(error.code(), ErrorCode::PermissionDenied),
                    }
                    tokio::task::yield_now().await;
                }
                written
            })
        })
        .collect();
    let mut periods = Vec::new();
    for _ in 0..60 {
        let given = test
            .write(json!([{"set": "roles/alice", "data": {"can": true}}]))
            .await
            .version;
        // At least one write has its chance.
        let body = json!({"writes": [{"merge": "posts/own", "data": {"n": {"$inc": 1}}}]});
        test.commit_as(&user("alice"), body).await.unwrap();
        let taken = test.write(json!([{"delete": "roles/alice"}])).await.version;
        periods.push(given..taken);
    }
    is_over.store(true, Ordering::SeqCst);
    for writer in writers {
        for version in writer.await.unwrap() {
            assert!(
                periods.iter().any(|period| period.contains(&version)),
                "{version} is in no period"
            );
        }
    }
    // The log itself, whatever was answered.
    let snapshot = test.engine.store().snapshot().unwrap();
    snapshot
        .changes(Version::ZERO, &mut |change| {
            assert!(
                change.collection != "posts" || periods.iter().any(|period| period.contains(&change.version)),
                "{:?}",
                change.version
            );
            ControlFlow::Continue(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_comes_after_a_revocation_in_memory() {
    no_write_comes_after_a_revocation(TestEngine::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_comes_after_a_revocation_on_sqlite() {
    no_write_comes_after_a_revocation(TestEngine::start_on_sqlite()).await;
}

/// Two documents of which always exactly one says yes.
fn flags(on: bool) -> Json {
    json!([
        {"set": "flags/a", "data": {"on": on}},
        {"set": "flags/b", "data": {"on": !on}},
    ])
}

/// What only they can read who see both at different moments.
const TORN: &str = "
    match /posts/{id} {
      allow get: if get(/databases/$(db)/documents/flags/a).data.on == get(/databases/$(db)/documents/flags/b).data.on;
    }
    match /whole/{id} {
      allow get, write: if get(/databases/$(db)/documents/flags/a).data.on != get(/databases/$(db)/documents/flags/b).data.on;
    }
";

/// An engine of which the cache has the posts and the first flag, but not the second; the flags turn when it is read.
async fn turning() -> TestEngine {
    let store = HeldStore::new();
    let test = TestEngine::over(Arc::clone(&store) as Arc<dyn Store>);
    test.under(TORN);
    test.write(flags(true)).await;
    test.write(json!([{"set": "posts/p", "data": {}}, {"set": "whole/w", "data": {}}]))
        .await;
    for path in ["posts/p", "whole/w", "flags/a"] {
        test.engine.get(&OWNER, &document_path(path)).unwrap();
    }
    let engine = test.engine.clone();
    *store.before_snapshot.lock() = Some(Box::new(move || {
        let turn = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let body = commit_body(json!({"writes": flags(false)}));
            runtime.block_on(engine.commit(&OWNER, body, None)).unwrap();
        };
        std::thread::spawn(turn).join().unwrap();
    }));
    test
}

#[tokio::test]
async fn a_get_is_not_allowed_by_documents_that_never_stood_together() {
    let test = turning().await;
    let found = test.engine.get(&user("alice"), &document_path("posts/p"));
    assert_eq!(found.unwrap_err().code(), ErrorCode::PermissionDenied);
    assert_eq!(
        test.data("flags/a"),
        json!({"on": false}),
        "it was between the two"
    );
}

#[tokio::test]
async fn nothing_is_refused_by_documents_that_never_stood_together() {
    let test = turning().await;
    let found = test.engine.get(&user("alice"), &document_path("whole/w"));
    assert!(found.unwrap().is_some());
    assert_eq!(
        test.data("flags/a"),
        json!({"on": false}),
        "it was between the two"
    );

    let test = turning().await;
    let written = test
        .commit_as(
            &user("alice"),
            json!({"writes": [{"merge": "whole/w", "data": {"n": 1}}]}),
        )
        .await;
    assert_eq!(code(written), None);
    assert_eq!(
        test.data("flags/a"),
        json!({"on": false}),
        "it was between the two"
    );
}

/// Whoever reads the flags at different moments may see two or none.
async fn gets_are_decided_on_one_state(test: TestEngine) {
    test.under(TORN);
    test.write(json!([{"set": "posts/p", "data": {}}, {"set": "whole/w", "data": {}}]))
        .await;
    test.write(flags(true)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (engine, is_over) = (test.engine.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let alice = user("alice");
                while !is_over.load(Ordering::SeqCst) {
                    let (torn, whole) = (document_path("posts/p"), document_path("whole/w"));
                    assert!(engine.get(&alice, &torn).is_err());
                    assert!(engine.batch_get(&alice, &[torn]).is_err());
                    assert!(engine.get(&alice, &whole).unwrap().is_some());
                    engine.batch_get(&alice, &[whole]).unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..150 {
        test.write(flags(round % 2 == 0)).await;
        tokio::task::yield_now().await;
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn gets_are_decided_on_one_state_in_memory() {
    gets_are_decided_on_one_state(TestEngine::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn gets_are_decided_on_one_state_on_sqlite() {
    gets_are_decided_on_one_state(TestEngine::start_on_sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_query_is_judged_by_one_version_of_the_rules() {
    let test = TestEngine::start();
    let writes: Vec<_> = (0..300)
        .map(|number| json!({"set": format!("posts/{number:03}"), "data": {"n": number}}))
        .collect();
    test.write(json!(writes)).await;
    let even = rules(
        "even",
        "match /posts/{id} { allow list: if resource.data.n % 2 == 0; }",
    );
    let odd = rules(
        "odd",
        "match /posts/{id} { allow list: if resource.data.n % 2 == 1; }",
    );
    test.engine.set_rules(Some(Arc::clone(&even)));
    let is_over = Arc::new(AtomicBool::new(false));
    let switcher = {
        let (engine, is_over) = (test.engine.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                engine.set_rules(Some(Arc::clone(&odd)));
                engine.set_rules(Some(Arc::clone(&even)));
            }
        })
    };
    for _ in 0..40 {
        let (ids, _) = page(
            &test.engine,
            &user("alice"),
            json!({"from": "posts", "limit": 1000}),
        )
        .await
        .unwrap();
        let remainders: std::collections::BTreeSet<_> =
            ids.iter().map(|id| id.parse::<u32>().unwrap() % 2).collect();
        assert_eq!((ids.len(), remainders.len()), (150, 1));
    }
    is_over.store(true, Ordering::SeqCst);
    switcher.join().unwrap();
}
