//! What rules let callers read.

use andiron_engine::{Caller, EngineError};
use andiron_protocol::ErrorCode;
use serde_json::json;

use crate::rules_support::{page, query_of, user, whole_rules};
use crate::support::{OWNER, TestEngine, document_path};

const NOTES: &str = "
    match /notes/{id} {
      allow read: if resource.data.owner == request.auth.uid;
      allow get: if resource.data.public == true;
    }
    match /posts/{id} {
      allow get: if exists(/databases/$(db)/documents/members/$(request.auth.uid))
                 && get(/databases/$(db)/documents/members/$(request.auth.uid)).data.level >= resource.data.level;
    }
    match /open/{id=**} { allow read; }
";

async fn notes(engine: &TestEngine) {
    engine
        .write(json!([
            {"set": "notes/a1", "data": {"owner": "alice", "n": 1}},
            {"set": "notes/b1", "data": {"owner": "bob", "n": 2}},
            {"set": "notes/b2", "data": {"owner": "bob", "n": 3, "public": true}},
            {"set": "posts/p1", "data": {"level": 3}},
            {"set": "members/alice", "data": {"level": 3}},
            {"set": "members/bob", "data": {"level": 2}},
        ]))
        .await;
}

fn code<T>(outcome: Result<T, EngineError>) -> Option<ErrorCode> {
    outcome.err().map(|error| error.code())
}

const DENIED: Option<ErrorCode> = Some(ErrorCode::PermissionDenied);

#[tokio::test]
async fn without_rules_only_administrators_read_and_write() {
    let test = TestEngine::start();
    notes(&test).await;
    for caller in [Caller::Anonymous, user("alice")] {
        let path = document_path("notes/a1");
        assert_eq!(code(test.engine.get(&caller, &path)), DENIED);
        assert_eq!(code(test.engine.batch_get(&caller, &[path])), DENIED);
        assert_eq!(code(test.ids(&caller, json!({"from": "notes"})).await), DENIED);
        assert_eq!(
            test.refusal(&caller, json!([{"set": "x/y", "data": {}}])).await,
            DENIED
        );
    }
    assert!(
        test.engine
            .get(&OWNER, &document_path("notes/a1"))
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_document_is_read_by_those_whom_its_rules_let() {
    for test in [TestEngine::start(), TestEngine::start_on_sqlite()] {
        notes(&test).await;
        test.under(NOTES);
        let (alice, bob, nobody) = (user("alice"), user("bob"), Caller::Anonymous);
        for (caller, path, expected) in [
            (&alice, "notes/a1", None),
            (&bob, "notes/a1", DENIED),
            (&nobody, "notes/a1", DENIED),
            (&alice, "notes/b2", None),
            (&nobody, "notes/b2", None),
            (&alice, "posts/p1", None),
            (&bob, "posts/p1", DENIED),
            (&nobody, "posts/p1", DENIED),
            // What is not there, and what no rule speaks of.
            (&alice, "notes/none", DENIED),
            (&alice, "other/x", DENIED),
            (&alice, "open/none", None),
            (&OWNER, "other/x", None),
        ] {
            // Twice: from the store, and from the cache.
            for _ in 0..2 {
                let found = test.engine.get(caller, &document_path(path));
                assert_eq!(code(found), expected, "{caller:?} {path}");
                let found = test.engine.batch_get(caller, &[document_path(path)]);
                assert_eq!(code(found), expected, "{caller:?} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_batch_is_denied_as_a_whole() {
    let test = TestEngine::start();
    notes(&test).await;
    test.under(NOTES);
    let paths = |paths: &[&str]| paths.iter().map(|path| document_path(path)).collect::<Vec<_>>();
    let both = test
        .engine
        .batch_get(&user("alice"), &paths(&["notes/a1", "notes/b1"]));
    assert_eq!(code(both), DENIED);
    let both = test
        .engine
        .batch_get(&user("alice"), &paths(&["notes/a1", "open/none"]))
        .unwrap();
    assert_eq!(both.documents.len(), 2);
    assert_eq!(
        code(test.engine.batch_get(&user("alice"), &[])),
        DENIED,
        "nothing tells the version too"
    );
}

#[tokio::test]
async fn missing_and_forbidden_documents_are_refused_in_the_same_words() {
    let test = TestEngine::start();
    notes(&test).await;
    test.under(NOTES);
    let said = |path: &str| {
        test.engine
            .get(&user("bob"), &document_path(path))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(said("notes/a1"), said("notes/none"));
    assert_eq!(said("notes/a1"), "missing or insufficient permissions");
}

#[tokio::test]
async fn the_past_is_open_to_those_who_may_read_both_it_and_the_present() {
    let test = TestEngine::start();
    let first = test
        .write(json!([{"set": "notes/x", "data": {"owner": "alice"}}]))
        .await
        .version;
    let second = test
        .write(json!([{"set": "notes/x", "data": {"owner": "bob"}}]))
        .await
        .version;
    let third = test
        .write(json!([{"set": "notes/x", "data": {"owner": "bob", "public": true}}]))
        .await
        .version;
    test.under(NOTES);
    let path = document_path("notes/x");
    for (caller, version, expected) in [
        (user("alice"), first, None),
        (user("alice"), second, DENIED),
        (user("alice"), third, None),
        (user("bob"), first, DENIED),
        (user("bob"), second, None),
        (Caller::Anonymous, second, DENIED),
        (Caller::Anonymous, third, None),
    ] {
        assert_eq!(
            code(test.engine.get_at(&caller, &path, version)),
            expected,
            "{caller:?} {version}"
        );
    }
    test.write(json!([{"delete": "notes/x"}])).await;
    assert_eq!(code(test.engine.get_at(&user("bob"), &path, third)), DENIED);
}

#[tokio::test]
async fn system_collections_stay_closed_whatever_the_rules_say() {
    let test = TestEngine::start();
    test.under(
        "match /{path=**} { allow read, write; }\n match /{path=**}/_secrets/{id} { allow read, write; }
        match /probes/{id} { allow get: if exists(/databases/$(db)/documents/_accounts/alice); }",
    );
    let body = json!({"writes": [{"set": "_accounts/alice", "data": {}}]});
    test.commit_as(&Caller::System, body.clone()).await.unwrap();
    for caller in [user("alice"), OWNER] {
        assert_eq!(
            code(test.engine.get(&caller, &document_path("_accounts/alice"))),
            DENIED
        );
        assert_eq!(code(test.commit_as(&caller, body.clone()).await), DENIED);
        assert_eq!(
            code(test.ids(&caller, json!({"from": "_accounts"})).await),
            DENIED
        );
        assert_eq!(
            code(test.ids(&caller, json!({"from": {"group": "_accounts"}})).await),
            DENIED
        );
    }
    test.under("match /probes/{id} { allow get: if exists(/databases/$(db)/documents/_accounts/alice); }");
    assert_eq!(
        code(test.engine.get(&user("alice"), &document_path("probes/p"))),
        DENIED
    );
}

#[tokio::test]
async fn a_query_answers_with_what_the_caller_may_list() {
    for test in [TestEngine::start(), TestEngine::start_on_sqlite()] {
        notes(&test).await;
        test.under(NOTES);
        let mut query = json!({"from": "notes", "orderBy": [["n", "asc"]]});
        assert_eq!(test.ids(&user("alice"), query.clone()).await.unwrap(), ["a1"]);
        // What `get` alone allows is not listed.
        assert_eq!(test.ids(&user("bob"), query.clone()).await.unwrap(), ["b1", "b2"]);
        query["offset"] = json!(1);
        assert_eq!(test.ids(&user("bob"), query.clone()).await.unwrap(), ["b2"]);
        query["offset"] = json!(0);
        query["limit"] = json!(1);
        query["limitToLast"] = json!(true);
        assert_eq!(test.ids(&user("bob"), query).await.unwrap(), ["b2"]);
        let (ids, end) = page(&test.engine, &user("alice"), json!({"from": "notes", "limit": 1}))
            .await
            .unwrap();
        assert_eq!(
            (ids.as_slice(), end.cursor),
            (&["a1".to_owned()][..], None),
            "the rest is not hers"
        );
    }
}

#[tokio::test]
async fn explanations_and_names_of_collections_are_for_administrators() {
    let test = TestEngine::start();
    test.under("match /{path=**} { allow read, write; }");
    let options = andiron_engine::QueryOptions {
        explain: true,
        ..andiron_engine::QueryOptions::default()
    };
    let sink: Vec<andiron_engine::StoredDocument> = Vec::new();
    let alice = user("alice");
    let explained = test
        .engine
        .query(&alice, query_of(json!({"from": "notes"})), options, sink);
    assert_eq!(code(explained.await), DENIED);
    assert_eq!(code(test.engine.collection_names(&user("alice"), None)), DENIED);
    assert_eq!(code(test.engine.collections(&user("alice"), None, 10)), DENIED);
}

#[tokio::test]
async fn a_denial_says_to_the_log_where_the_rules_deny_and_to_the_client_what_they_give_as_reason() {
    let test = TestEngine::start();
    notes(&test).await;
    test.under(NOTES);
    let denied = test
        .engine
        .get(&user("bob"), &document_path("notes/a1"))
        .unwrap_err();
    let EngineError::PermissionDenied(denied) = denied else {
        panic!("{denied:?}")
    };
    let place = denied.place.clone().unwrap();
    assert_eq!(
        (place.file.as_str(), place.line, place.column),
        ("firestore.rules", 6, 22)
    );
    assert_eq!(
        denied.detail,
        "get of `notes/a1` is denied by the rules, revision test: \
         firestore.rules:6:22: `resource.data.owner == request.auth.uid` is false; \
         firestore.rules:7:21: `resource.data.public`: Property public is undefined on object."
    );
    assert_eq!(denied.reason, None);

    let text = "rules_version = 'andiron1';
        service cloud.firestore { match /databases/{db}/documents { match /notes/{id} {
          allow get: if false else \"ask the owner\";
        } } }";
    test.engine.set_rules(Some(whole_rules("2", text)));
    let denied = test
        .engine
        .get(&user("bob"), &document_path("notes/a1"))
        .unwrap_err();
    assert_eq!(denied.to_string(), "ask the owner");
}
