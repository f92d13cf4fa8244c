//! What commits do and refuse.

use andiron_engine::{Caller, EngineError};
use andiron_protocol::{ErrorCode, Version};
use serde_json::{Value as Json, json};

use crate::support::{OWNER, START_MICROS, TestEngine, commit_body, document_path};

async fn refused(test: &TestEngine, body: Json) -> ErrorCode {
    test.commit(body).await.unwrap_err().code()
}

#[tokio::test]
async fn every_kind_of_write_does_what_it_says() {
    let test = TestEngine::start();
    let committed = test
        .write(json!([
            {"create": "posts/a", "data": {"title": "A", "n": 1}},
            {"set": "posts/b", "data": {"title": "B"}},
            {"merge": "posts/c", "data": {"deep": {"x": 1}}},
        ]))
        .await;
    assert_eq!(committed.writes.len(), 3);
    test.write(json!([
        {"update": "posts/a", "data": {"n": {"$inc": 2}, "author.name": "Ann"}},
        {"set": "posts/b", "data": {"other": true}},
        {"merge": "posts/c", "data": {"deep": {"y": 2}}},
    ]))
    .await;
    assert_eq!(
        test.data("posts/a"),
        json!({"title": "A", "n": 3, "author": {"name": "Ann"}})
    );
    assert_eq!(test.data("posts/b"), json!({"other": true}));
    assert_eq!(test.data("posts/c"), json!({"deep": {"x": 1, "y": 2}}));
    test.write(json!([{"delete": "posts/a"}, {"delete": "posts/never"}]))
        .await;
    assert_eq!(test.data("posts/a"), Json::Null);
}

#[tokio::test]
async fn all_documents_of_a_commit_carry_its_version_and_keep_their_creation() {
    let test = TestEngine::start();
    let first = test
        .write(json!([{"set": "a/1", "data": {}}, {"set": "a/2", "data": {}}]))
        .await;
    let second = test
        .write(json!([{"set": "a/1", "data": {"x": 1}}, {"set": "a/3", "data": {}}]))
        .await;
    assert!(second.version > first.version);
    for (path, created, version) in [
        ("a/1", first.version, second.version),
        ("a/2", first.version, first.version),
        ("a/3", second.version, second.version),
    ] {
        let document = test.document(path).unwrap();
        assert_eq!((document.created, document.version), (created, version), "{path}");
    }
    assert_eq!(second.writes[0].document.as_ref().unwrap().created, first.version);
    assert!(second.writes[0].existed && !second.writes[1].existed);
}

#[tokio::test]
async fn writes_of_one_commit_to_one_document_build_on_each_other() {
    let test = TestEngine::start();
    let committed = test
        .write(json!([
            {"create": "a/1", "data": {"n": 1}},
            {"update": "a/1", "data": {"n": {"$inc": 1}}},
            {"merge": "a/1", "data": {"n": {"$inc": 5}, "m": true}},
        ]))
        .await;
    assert_eq!(test.data("a/1"), json!({"n": 7, "m": true}));
    assert_eq!(format!("{:?}", committed.writes[1].results[0].1), "Integer(2)");
    test.write(json!([{"delete": "a/1"}, {"create": "a/1", "data": {"again": 1}}]))
        .await;
    assert_eq!(test.data("a/1"), json!({"again": 1}));
    test.write(json!([{"set": "a/2", "data": {}}, {"delete": "a/2"}]))
        .await;
    assert_eq!(test.data("a/2"), Json::Null);
}

#[tokio::test]
async fn one_refused_write_undoes_the_whole_commit() {
    let test = TestEngine::start();
    test.write(json!([{"set": "a/there", "data": {"n": 1}}])).await;
    let before = test.engine.version().unwrap();
    let version = before.to_string();
    for (name, write, code) in [
        (
            "create of what exists",
            json!({"create": "a/there", "data": {}}),
            ErrorCode::AlreadyExists,
        ),
        (
            "update of what is missing",
            json!({"update": "a/missing", "data": {"x": 1}}),
            ErrorCode::NotFound,
        ),
        (
            "must exist",
            json!({"set": "a/missing", "data": {}, "if": {"exists": true}}),
            ErrorCode::FailedPrecondition,
        ),
        (
            "must not exist",
            json!({"delete": "a/there", "if": {"exists": false}}),
            ErrorCode::FailedPrecondition,
        ),
        (
            "other version",
            json!({"merge": "a/there", "data": {}, "if": {"version": "1"}}),
            ErrorCode::FailedPrecondition,
        ),
        (
            "version of what is missing",
            json!({"verify": "a/missing", "if": {"version": version}}),
            ErrorCode::FailedPrecondition,
        ),
        (
            "verify absence of what exists",
            json!({"verify": "a/there", "if": {"exists": false}}),
            ErrorCode::FailedPrecondition,
        ),
    ] {
        let body = json!({"writes": [{"set": "a/new", "data": {}}, write, {"delete": "a/there"}]});
        assert_eq!(refused(&test, body).await, code, "{name}");
        assert_eq!(test.data("a/new"), Json::Null, "{name}");
        assert_eq!(test.data("a/there"), json!({"n": 1}), "{name}");
        assert_eq!(test.engine.version().unwrap(), before, "{name}");
    }
}

#[tokio::test]
async fn conditions_that_hold_let_a_commit_through() {
    let test = TestEngine::start();
    let version = test
        .write(json!([{"set": "a/1", "data": {}}]))
        .await
        .version
        .to_string();
    test.commit(json!({
        "reads": [{"path": "a/1", "version": version}, {"path": "a/absent", "version": null}],
        "queries": [{"query": {"from": "a", "where": ["x", "==", 1]}, "version": version}],
        "writes": [
            {"verify": "a/1", "if": {"version": version}},
            {"verify": "a/absent", "if": {"exists": false}},
            {"merge": "a/1", "data": {"y": 1}, "if": {"version": version}},
        ],
    }))
    .await
    .unwrap();
    assert_eq!(test.data("a/1"), json!({"y": 1}));
}

#[tokio::test]
async fn a_commit_whose_reads_have_changed_is_aborted() {
    let test = TestEngine::start();
    let old = test
        .write(json!([{"set": "a/1", "data": {}}]))
        .await
        .version
        .to_string();
    test.write(json!([{"set": "a/1", "data": {"n": 1}}])).await;
    for read in [
        json!({"path": "a/1", "version": old}),
        json!({"path": "a/1", "version": null}),
        json!({"path": "a/absent", "version": old}),
    ] {
        let body = json!({"reads": [read], "writes": [{"set": "a/2", "data": {}}]});
        assert_eq!(refused(&test, body).await, ErrorCode::Aborted);
    }
    assert_eq!(test.data("a/2"), Json::Null);
}

#[tokio::test]
async fn a_commit_whose_queries_were_touched_is_aborted_and_others_are_not() {
    let test = TestEngine::start();
    test.write(json!([{"set": "a/in", "data": {"x": 1}}, {"set": "a/out", "data": {"x": 2}}]))
        .await;
    for (name, change, is_touched) in [
        (
            "a document enters",
            json!({"set": "a/new", "data": {"x": 1}}),
            true,
        ),
        (
            "a document leaves",
            json!({"set": "a/in", "data": {"x": 3}}),
            true,
        ),
        (
            "a document comes back",
            json!({"set": "a/in", "data": {"x": 1}}),
            true,
        ),
        ("a document is deleted", json!({"delete": "a/in"}), true),
        (
            "another document changes",
            json!({"set": "a/out", "data": {"x": 5}}),
            false,
        ),
        (
            "another collection changes",
            json!({"set": "b/in", "data": {"x": 1}}),
            false,
        ),
    ] {
        let seen = test.engine.version().unwrap().to_string();
        test.write(json!([change])).await;
        let body = json!({
            "queries": [{"query": {"from": "a", "where": ["x", "==", 1]}, "version": seen}],
            "writes": [{"set": "result/r", "data": {}}],
        });
        let result = test.commit(body).await;
        match result {
            Ok(_) => assert!(!is_touched, "{name}"),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Aborted, "{name}: {error}");
                assert!(is_touched, "{name}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_commit_that_only_verifies_writes_nothing() {
    let test = TestEngine::start();
    let version = test.write(json!([{"set": "a/1", "data": {}}])).await.version;
    let verified = test
        .write(json!([{"verify": "a/1", "if": {"exists": true}}]))
        .await;
    assert_eq!(verified.version, version);
    assert_eq!(test.engine.version().unwrap(), version);
    assert_eq!(test.document("a/1").unwrap().version, version);
}

#[tokio::test]
async fn now_is_one_time_for_all_and_never_after_the_version() {
    let test = TestEngine::start();
    let committed = test
        .write(json!([
            {"set": "a/1", "data": {"at": {"$now": true}}},
            {"set": "a/2", "data": {"deep": {"at": {"$now": true}}}},
        ]))
        .await;
    assert_eq!(test.data("a/1")["at"], test.data("a/2")["deep"]["at"]);
    assert_eq!(
        test.data("a/1")["at"],
        json!({"$time": "2026-11-22T05:40:35.000000Z"})
    );
    assert!(committed.version.as_micros() >= START_MICROS);
}

#[tokio::test]
async fn versions_increase_while_the_clock_steps_back() {
    let test = TestEngine::start();
    let mut last = Version::ZERO;
    for step in [0, -3600, 10, -10 * 365 * 86_400, 5, 7200] {
        test.advance_seconds(step);
        let version = test
            .write(json!([{"set": "a/1", "data": {"step": step}}]))
            .await
            .version;
        assert!(version > last, "after a step of {step} s");
        last = version;
    }
}

#[tokio::test]
async fn the_past_can_be_read() {
    let test = TestEngine::start();
    let first = test
        .write(json!([{"set": "a/1", "data": {"n": 1}}]))
        .await
        .version;
    let second = test
        .write(json!([{"set": "a/1", "data": {"n": 2}}]))
        .await
        .version;
    let third = test.write(json!([{"delete": "a/1"}])).await.version;
    let at = |version: Version| {
        let document = test
            .engine
            .get_at(&OWNER, &document_path("a/1"), version)
            .unwrap();
        document.map(|document| document.data.to_string())
    };
    assert_eq!(at(Version::from_micros(first.as_micros() - 1)), None);
    assert_eq!(at(first).as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(at(second).as_deref(), Some(r#"{"n":2}"#));
    assert_eq!(at(third), None);
}

#[tokio::test]
async fn a_document_over_the_limit_is_refused_by_its_name() {
    let test = TestEngine::start();
    test.write(json!([{"set": "a/1", "data": {"text": "x".repeat(700_000)}}]))
        .await;
    let error = test
        .commit(json!({"writes": [{"merge": "a/1", "data": {"more": "y".repeat(700_000)}}]}))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, EngineError::DocumentTooLarge { path, .. } if path.as_str() == "a/1"),
        "{error}"
    );
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn system_collections_are_closed_to_administrators_and_everything_is_to_others() {
    let test = TestEngine::start();
    let body = || commit_body(json!({"writes": [{"set": "_keys/x", "data": {}}]}));
    let nested = || commit_body(json!({"writes": [{"set": "a/b/_hidden/x", "data": {}}]}));
    for caller in [Caller::Anonymous, Caller::Owner, Caller::unrestricted_key("k")] {
        for body in [body(), nested()] {
            let error = test.engine.commit(&caller, body, None).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::PermissionDenied);
        }
        let error = test.engine.get(&caller, &document_path("_keys/x")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied);
    }
    let body = || commit_body(json!({"writes": [{"set": "a/1", "data": {}}]}));
    let error = test
        .engine
        .commit(&Caller::Anonymous, body(), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    test.engine
        .commit(&Caller::unrestricted_key("k"), body(), None)
        .await
        .unwrap();
    assert_eq!(test.engine.collection_names(&OWNER, None).unwrap(), ["a"]);
}
