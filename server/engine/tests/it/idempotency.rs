//! Idempotency keys.

use std::sync::Arc;

use andiron_engine::{Caller, EngineError};
use andiron_protocol::ErrorCode;
use andiron_store::memory::MemoryStore;
use serde_json::json;

use crate::support::{OWNER, TestEngine, commit_body};

fn increment() -> andiron_protocol::CommitBody {
    commit_body(json!({"writes": [{"merge": "a/1", "data": {"n": {"$inc": 1}}}]}))
}

#[tokio::test]
async fn a_retry_is_answered_with_the_first_result_and_writes_nothing() {
    let test = TestEngine::start();
    let first = test
        .engine
        .commit(&OWNER, increment(), Some("key-1"))
        .await
        .unwrap();
    test.advance_seconds(3600);
    let mut retry = test
        .engine
        .commit(&OWNER, increment(), Some("key-1"))
        .await
        .unwrap();
    assert!(retry.is_replay && !first.is_replay);
    retry.is_replay = false;
    assert_eq!(retry, first);
    assert_eq!(test.data("a/1"), json!({"n": 1}));
}

#[tokio::test]
async fn the_first_result_survives_later_changes_and_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let first = {
        let test = TestEngine::over(Arc::clone(&store) as _);
        let first = test.engine.commit(&OWNER, increment(), Some("k")).await.unwrap();
        test.write(json!([{"delete": "a/1"}])).await;
        first
    };
    let test = TestEngine::over(store);
    let retry = test.engine.commit(&OWNER, increment(), Some("k")).await.unwrap();
    assert_eq!(retry.writes, first.writes);
    assert_eq!(
        retry.writes[0].document.as_ref().unwrap().data.as_ref(),
        r#"{"n":1}"#
    );
}

#[tokio::test]
async fn a_key_belongs_to_its_caller_and_its_request() {
    let test = TestEngine::start();
    test.engine.commit(&OWNER, increment(), Some("k")).await.unwrap();
    test.engine
        .commit(&Caller::unrestricted_key("x"), increment(), Some("k"))
        .await
        .unwrap();
    assert_eq!(
        test.data("a/1"),
        json!({"n": 2}),
        "another caller's key is another key"
    );
    let other = commit_body(json!({"writes": [{"delete": "a/1"}]}));
    let error = test.engine.commit(&OWNER, other, Some("k")).await.unwrap_err();
    assert!(matches!(error, EngineError::IdempotencyKeyReused));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let test = TestEngine::start();
    test.engine.commit(&OWNER, increment(), Some("k")).await.unwrap();
    test.advance_seconds(24 * 3600 + 1);
    test.engine.commit(&OWNER, increment(), Some("k")).await.unwrap();
    assert_eq!(test.data("a/1"), json!({"n": 2}));
}

#[tokio::test]
async fn a_refused_commit_leaves_its_key_free() {
    let test = TestEngine::start();
    let create = || commit_body(json!({"writes": [{"update": "a/1", "data": {"x": 1}}]}));
    test.engine.commit(&OWNER, create(), Some("k")).await.unwrap_err();
    test.write(json!([{"set": "a/1", "data": {}}])).await;
    test.engine.commit(&OWNER, create(), Some("k")).await.unwrap();
    assert_eq!(test.data("a/1"), json!({"x": 1}));
}

#[tokio::test]
async fn keys_that_cannot_be_keys_are_refused() {
    let test = TestEngine::start();
    for key in ["", "with space", "ünïcode", "\n", &"k".repeat(65)] {
        let error = test
            .engine
            .commit(&OWNER, increment(), Some(key))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{key:?}");
    }
    test.engine
        .commit(&OWNER, increment(), Some(&"k".repeat(64)))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_concurrent_retries_commit_once() {
    let test = TestEngine::start();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let engine = test.engine.clone();
            tokio::spawn(async move { engine.commit(&OWNER, increment(), Some("same")).await.unwrap() })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.push(task.await.unwrap().version);
    }
    versions.dedup();
    assert_eq!(versions.len(), 1);
    assert_eq!(test.data("a/1"), json!({"n": 1}));
}

#[tokio::test]
async fn the_largest_document_has_room_in_its_record() {
    let test = TestEngine::start();
    let text = "\"".repeat(500_000);
    let body = || commit_body(json!({"writes": [{"set": "a/1", "data": {"text": text}}]}));
    let first = test.engine.commit(&OWNER, body(), Some("k")).await.unwrap();
    let retry = test.engine.commit(&OWNER, body(), Some("k")).await.unwrap();
    assert_eq!(retry.writes, first.writes);
}
