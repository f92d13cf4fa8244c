//! Many callers at once: nothing is lost, nothing is seen half. On every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use andiron_engine::{Ceiling, EngineError, JudgedPermit};
use andiron_protocol::{ErrorCode, Version};
use serde_json::json;

use crate::support::{OWNER, TestEngine, commit_body, document_path};

/// Runs each of these on both stores, as a test of its own.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(crate::support::TestEngine::start()).await;
                }
            )*
        }
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(crate::support::TestEngine::start_on_sqlite()).await;
                }
            )*
        }
    };
}

on_every_store!(
    concurrent_increments_of_one_counter_all_count,
    of_many_commits_below_a_ceiling_exactly_those_succeed_that_have_room,
    of_many_creations_of_one_document_exactly_one_succeeds,
    transfers_keep_the_sum_of_all_accounts,
    queries_of_a_commit_prevent_write_skew,
    gets_never_go_back_in_time,
);

async fn concurrent_increments_of_one_counter_all_count(test: TestEngine) {
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let engine = test.engine.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let body = commit_body(json!({"writes": [{"merge": "c/1", "data": {"n": {"$inc": 1}}}]}));
                    engine.commit(&OWNER, body, None).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(test.data("c/1"), json!({"n": 800}));
}

async fn of_many_commits_below_a_ceiling_exactly_those_succeed_that_have_room(test: TestEngine) {
    let below = |sum_max| {
        let ceiling = Ceiling {
            path: document_path("c/1"),
            fields: &["n", "held"],
            sum_max,
        };
        JudgedPermit::default().below(vec![ceiling])
    };
    test.write(json!([{"set": "c/1", "data": {"n": 10, "held": 20}}]))
        .await;
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (engine, permit) = (test.engine.clone(), below(130));
            tokio::spawn(async move {
                let file = format!("d/{number}");
                let body = commit_body(json!({"writes": [
                    {"merge": "c/1", "data": {"n": {"$inc": 5}}},
                    {"create": file, "data": {}},
                ]}));
                engine.commit_with_permit(permit, body).await
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(
                matches!(&error, EngineError::CeilingExceeded { path, sum_max: 130 } if *path == document_path("c/1")),
                "{error}"
            ),
        }
    }
    assert_eq!(made, 20, "from 30 to 130 in steps of 5");
    assert_eq!(test.data("c/1"), json!({"n": 110, "held": 20}));
    let there = (0..64).filter(|number| !test.data(&format!("d/{number}")).is_null());
    assert_eq!(there.count(), 20, "what has no room is not half made");
    let less = commit_body(json!({"writes": [{"merge": "c/1", "data": {"n": {"$inc": -5}}}]}));
    test.engine.commit_with_permit(below(130), less).await.unwrap();
    let more = commit_body(json!({"writes": [{"merge": "c/1", "data": {"held": {"$inc": 6}}}]}));
    assert!(test.engine.commit_with_permit(below(130), more).await.is_err());
}

async fn of_many_creations_of_one_document_exactly_one_succeeds(test: TestEngine) {
    for round in 0..20 {
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let engine = test.engine.clone();
                tokio::spawn(async move {
                    let path = format!("unique/{round}");
                    let body = commit_body(json!({"writes": [{"create": path, "data": {"by": number}}]}));
                    engine.commit(&OWNER, body, None).await
                })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => created += 1,
                Err(error) => assert_eq!(error.code(), ErrorCode::AlreadyExists),
            }
        }
        assert_eq!(created, 1, "round {round}");
    }
}

/// Transfers between accounts as an SDK's transaction does them: read, compute, commit with `reads`, again on `aborted`.
async fn transfers_keep_the_sum_of_all_accounts(test: TestEngine) {
    const ACCOUNTS: u64 = 5;
    const BALANCE: i64 = 1000;
    let accounts: Vec<_> = (0..ACCOUNTS)
        .map(|number| json!({"set": format!("accounts/{number}"), "data": {"balance": BALANCE}}))
        .collect();
    test.write(json!(accounts)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let auditor = {
        let (engine, stop) = (test.engine.clone(), Arc::clone(&stop));
        let paths: Vec<_> = (0..ACCOUNTS)
            .map(|number| document_path(&format!("accounts/{number}")))
            .collect();
        tokio::task::spawn_blocking(move || {
            let mut audits = 0;
            let mut last = Version::ZERO;
            while !stop.load(Ordering::SeqCst) || audits == 0 {
                let seen = engine.batch_get(&OWNER, &paths).unwrap();
                let sum: i64 = seen
                    .documents
                    .iter()
                    .flatten()
                    .map(|document| balance(&document.data))
                    .sum();
                assert_eq!(
                    sum,
                    BALANCE * i64::try_from(ACCOUNTS).unwrap(),
                    "at version {}",
                    seen.version
                );
                assert!(seen.version >= last);
                last = seen.version;
                audits += 1;
            }
        })
    };
    let tasks: Vec<_> = (0..8_u64)
        .map(|task| {
            let engine = test.engine.clone();
            tokio::spawn(async move {
                for round in 0..40_u64 {
                    let from = (task * 7 + round * 3) % ACCOUNTS;
                    let to = (from + 1 + (task + round) % (ACCOUNTS - 1)) % ACCOUNTS;
                    loop {
                        let paths = [from, to].map(|number| document_path(&format!("accounts/{number}")));
                        // Not one snapshot on purpose: only the validation at commit makes it right.
                        let [source, target] = paths.map(|path| engine.get(&OWNER, &path).unwrap().unwrap());
                        let amount = i64::try_from(1 + (task + round) % 9).unwrap();
                        let body = commit_body(json!({
                            "reads": [
                                {"path": source.path, "version": source.version},
                                {"path": target.path, "version": target.version},
                            ],
                            "writes": [
                                {"set": source.path, "data": {"balance": balance(&source.data) - amount}},
                                {"set": target.path, "data": {"balance": balance(&target.data) + amount}},
                            ],
                        }));
                        match engine.commit(&OWNER, body, None).await {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error.code(), ErrorCode::Aborted, "{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    auditor.await.unwrap();
}

fn balance(data: &str) -> i64 {
    serde_json::from_str::<serde_json::Value>(data).unwrap()["balance"]
        .as_i64()
        .unwrap()
}

/// Write skew: two doctors are on call, each may leave if another stays. With `queries` only one of them does.
async fn queries_of_a_commit_prevent_write_skew(test: TestEngine) {
    for round in 0..20 {
        let collection = format!("shift{round}");
        test.write(json!([
            {"set": format!("{collection}/alice"), "data": {"onCall": true}},
            {"set": format!("{collection}/bob"), "data": {"onCall": true}},
        ]))
        .await;
        let seen = test.engine.version().unwrap();
        let tasks = ["alice", "bob"].map(|doctor| {
            let (engine, collection) = (test.engine.clone(), collection.clone());
            tokio::spawn(async move {
                let body = commit_body(json!({
                    "queries": [{"query": {"from": collection, "where": ["onCall", "==", true]}, "version": seen}],
                    "writes": [{"update": format!("{collection}/{doctor}"), "data": {"onCall": false}}],
                }));
                engine.commit(&OWNER, body, None).await.is_ok()
            })
        });
        let mut left = 0;
        for task in tasks {
            left += usize::from(task.await.unwrap());
        }
        assert_eq!(left, 1, "round {round}");
    }
}

/// A reader that goes through the cache never sees a document go back in time, nor miss a write that was answered.
async fn gets_never_go_back_in_time(test: TestEngine) {
    test.write(json!([{"set": "hot/1", "data": {"n": 0}}])).await;
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (engine, stop) = (test.engine.clone(), Arc::clone(&stop));
            tokio::task::spawn_blocking(move || {
                let path = document_path("hot/1");
                let mut last = Version::ZERO;
                while !stop.load(Ordering::SeqCst) {
                    let single = engine.get(&OWNER, &path).unwrap().unwrap().version;
                    assert!(single >= last, "a get after {last} gave {single}");
                    let batch = engine.batch_get(&OWNER, std::slice::from_ref(&path)).unwrap();
                    last = batch.documents[0].as_ref().unwrap().version;
                    assert!(last >= single, "a snapshot after {single} gave {last}");
                }
            })
        })
        .collect();
    for number in 1..400 {
        let committed = test.write(json!([{"set": "hot/1", "data": {"n": number}}])).await;
        assert_eq!(test.document("hot/1").unwrap().version, committed.version);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}
