//! What rules let callers write.

use andiron_engine::Caller;
use andiron_protocol::ErrorCode;
use serde_json::{Value as Json, json};

use crate::rules_support::{rules, user};
use crate::support::{OWNER, TestEngine, commit_body, document_path};

const DENIED: Option<ErrorCode> = Some(ErrorCode::PermissionDenied);

/// Things that belong to somebody; a team's members, who are found by a look-up; and a box that takes letters and gives
/// none back.
const RULES: &str = "
    function isOwner(document) { return document.data.owner == request.auth.uid; }
    match /things/{id} {
      allow read: if resource == null || isOwner(resource);
      allow create: if isOwner(request.resource) && request.resource.data.keys().hasOnly(['owner', 'n', 'at']);
      allow update: if isOwner(resource) && request.resource.data.owner == resource.data.owner;
      allow delete: if isOwner(resource);
    }
    match /teams/{team} {
      allow read, update: if exists(/databases/$(db)/documents/teams/$(team)/members/$(request.auth.uid));
      allow create: if getAfter(/databases/$(db)/documents/teams/$(team)/members/$(request.auth.uid)).data.role == 'lead';
      match /members/{uid} {
        allow create: if getAfter(/databases/$(db)/documents/teams/$(team)).data.size
                         == (exists(/databases/$(db)/documents/teams/$(team))
                             ? get(/databases/$(db)/documents/teams/$(team)).data.size : 0) + 1;
      }
    }
    match /letters/{id} {
      allow create: if request.resource.data.text is string;
      allow update: if true;
    }
";

async fn start(test: &TestEngine) {
    test.write(json!([
        {"set": "things/a", "data": {"owner": "alice", "n": 1}},
        {"set": "things/b", "data": {"owner": "bob", "n": 1}},
        {"set": "letters/sent", "data": {"text": "dear", "n": 41}},
    ]))
    .await;
    test.under(RULES);
}

#[tokio::test]
async fn every_kind_of_write_is_judged_by_what_it_does_to_the_document() {
    for test in [TestEngine::start(), TestEngine::start_on_sqlite()] {
        start(&test).await;
        let alice = user("alice");
        let own = json!({"owner": "alice"});
        let cases: Vec<(&str, Json, Option<ErrorCode>)> = vec![
            (
                "a create of her own",
                json!({"create": "things/n1", "data": own}),
                None,
            ),
            (
                "a set of what is not there is a create",
                json!({"set": "things/n2", "data": own}),
                None,
            ),
            ("so is a merge", json!({"merge": "things/n3", "data": own}), None),
            (
                "with a field too many",
                json!({"set": "things/n4", "data": {"owner": "alice", "x": 1}}),
                DENIED,
            ),
            (
                "for somebody else",
                json!({"create": "things/n5", "data": {"owner": "bob"}}),
                DENIED,
            ),
            (
                "a set of what is there is an update, which has no list of keys",
                json!({"set": "things/a", "data": {"owner": "alice", "x": 1}}),
                None,
            ),
            (
                "a merge",
                json!({"merge": "things/a", "data": {"n": {"$inc": 1}}}),
                None,
            ),
            ("an update", json!({"update": "things/a", "data": {"n": 7}}), None),
            (
                "an update that gives it away",
                json!({"update": "things/a", "data": {"owner": "bob"}}),
                DENIED,
            ),
            (
                "a merge that removes the owner",
                json!({"merge": "things/a", "data": {"owner": {"$delete": true}}}),
                DENIED,
            ),
            (
                "a verification of her own",
                json!({"verify": "things/a", "if": {"exists": true}}),
                None,
            ),
            (
                "a verification of his",
                json!({"verify": "things/b", "if": {"exists": true}}),
                DENIED,
            ),
            ("a set of his", json!({"set": "things/b", "data": own}), DENIED),
            (
                "a merge into his",
                json!({"merge": "things/b", "data": {"n": 2}}),
                DENIED,
            ),
            (
                "an update of his",
                json!({"update": "things/b", "data": {"n": 2}}),
                DENIED,
            ),
            ("a delete of his", json!({"delete": "things/b"}), DENIED),
            (
                "a delete of what is not there",
                json!({"delete": "things/none"}),
                DENIED,
            ),
            ("a delete of her own", json!({"delete": "things/a"}), None),
            (
                "what no rule speaks of",
                json!({"set": "other/x", "data": {}}),
                DENIED,
            ),
        ];
        for (name, write, expected) in cases {
            assert_eq!(test.refusal(&alice, json!([write])).await, expected, "{name}");
        }
        assert_eq!(test.data("things/b"), json!({"owner": "bob", "n": 1}));
    }
}

#[tokio::test]
async fn nobody_in_particular_owns_nothing() {
    let test = TestEngine::start();
    start(&test).await;
    let create = json!([{"create": "things/n", "data": {"owner": null}}]);
    assert_eq!(test.refusal(&Caller::Anonymous, create).await, DENIED);
}

#[tokio::test]
async fn the_time_of_the_rules_is_the_time_that_is_written() {
    let test = TestEngine::start();
    test.under("match /x/{id} { allow create: if request.resource.data.at == request.time; }");
    let write = |at: Json| json!([{"create": format!("x/{}", at.as_object().unwrap().keys().next().unwrap()), "data": {"at": at}}]);
    assert_eq!(
        test.refusal(&user("alice"), write(json!({"$now": true}))).await,
        None
    );
    let other = write(json!({"$time": "2026-11-22T05:40:36Z"}));
    assert_eq!(test.refusal(&user("alice"), other).await, DENIED);
}

#[tokio::test]
async fn a_commit_is_denied_as_a_whole_and_changes_nothing() {
    let test = TestEngine::start();
    start(&test).await;
    let writes = json!([
        {"create": "things/n1", "data": {"owner": "alice"}},
        {"delete": "things/b"},
    ]);
    assert_eq!(test.refusal(&user("alice"), writes).await, DENIED);
    assert_eq!(test.data("things/n1"), Json::Null);
}

#[tokio::test]
async fn writes_of_one_commit_see_each_other_after_and_not_before() {
    for test in [TestEngine::start(), TestEngine::start_on_sqlite()] {
        start(&test).await;
        let alice = user("alice");
        let founding = json!([
            {"create": "teams/t", "data": {"size": 1}},
            {"create": "teams/t/members/alice", "data": {"role": "lead"}},
        ]);
        assert_eq!(
            test.refusal(&alice, json!([founding[0]])).await,
            DENIED,
            "without a lead"
        );
        assert_eq!(
            test.refusal(&alice, json!([founding[1]])).await,
            DENIED,
            "without a team"
        );
        assert_eq!(test.refusal(&alice, founding).await, None);
        let join = |size: i32| {
            json!([
                {"create": "teams/t/members/bob", "data": {"role": "guest"}},
                {"update": "teams/t", "data": {"size": size}},
            ])
        };
        assert_eq!(
            test.refusal(&user("bob"), join(2)).await,
            DENIED,
            "he is no member before the commit"
        );
        assert_eq!(test.refusal(&alice, join(3)).await, DENIED, "miscounted");
        assert_eq!(test.refusal(&alice, join(2)).await, None);
    }
}

#[tokio::test]
async fn what_is_written_twice_is_judged_by_what_it_comes_to() {
    let test = TestEngine::start();
    start(&test).await;
    let alice = user("alice");
    for (name, writes, expected) in [
        (
            "created and given away",
            json!([
                {"create": "things/n", "data": {"owner": "alice"}},
                {"merge": "things/n", "data": {"owner": "bob"}},
            ]),
            DENIED,
        ),
        (
            "created with too much, which is taken away again",
            json!([
                {"create": "things/n", "data": {"owner": "alice", "x": 1}},
                {"merge": "things/n", "data": {"x": {"$delete": true}}},
            ]),
            None,
        ),
        (
            "deleted and created for another",
            json!([
                {"delete": "things/a"},
                {"create": "things/a", "data": {"owner": "bob"}},
            ]),
            DENIED,
        ),
        (
            "his deleted and created as hers",
            json!([
                {"delete": "things/b"},
                {"create": "things/b", "data": {"owner": "alice"}},
            ]),
            DENIED,
        ),
        (
            "what she may not create, and its deletion",
            json!([
                {"create": "things/m", "data": {"owner": "bob"}},
                {"delete": "things/m"},
            ]),
            DENIED,
        ),
        (
            "written and deleted",
            json!([
                {"set": "things/a", "data": {"owner": "alice", "n": 3}},
                {"delete": "things/a"},
            ]),
            None,
        ),
    ] {
        assert_eq!(test.refusal(&alice, writes).await, expected, "{name}");
    }
}

#[tokio::test]
async fn reads_of_a_commit_are_judged_as_gets() {
    let test = TestEngine::start();
    start(&test).await;
    let version = |path: &str| test.document(path).unwrap().version;
    let commit = |path: &str, version: Json| json!({"reads": [{"path": path, "version": version}], "writes": [{"create": "things/n", "data": {"owner": "bob"}}]});
    let bob = user("bob");
    let code = |outcome: Result<_, andiron_engine::EngineError>| outcome.err().map(|error| error.code());
    let of_alice = json!(version("things/a").to_string());
    assert_eq!(
        code(test.commit_as(&bob, commit("things/a", of_alice)).await),
        DENIED
    );
    assert_eq!(
        code(test.commit_as(&bob, commit("things/b", Json::Null)).await),
        Some(ErrorCode::Aborted)
    );
    let own = json!(version("things/b").to_string());
    assert_eq!(code(test.commit_as(&bob, commit("things/b", own)).await), None);
}

#[tokio::test]
async fn an_empty_commit_and_an_empty_batch_are_for_administrators() {
    let test = TestEngine::start();
    test.under("match /{path=**} { allow read, write; }");
    let empty = test.commit_as(&user("alice"), json!({"writes": []})).await;
    assert_eq!(empty.unwrap_err().code(), ErrorCode::PermissionDenied);
    test.commit_as(&OWNER, json!({"writes": []})).await.unwrap();
}

#[tokio::test]
async fn the_answer_to_a_write_shows_no_more_than_a_read_would() {
    let test = TestEngine::start();
    start(&test).await;
    let alice = user("alice");
    let commit = async |writes: Json| test.commit_as(&alice, json!({ "writes": writes })).await.unwrap();

    let sent = commit(json!([{"create": "letters/new", "data": {"text": "hi"}}])).await;
    let document = sent.writes[0].document.as_ref().unwrap();
    assert_eq!(&*document.data, r#"{"text":"hi"}"#, "what she has sent herself");

    let merge = json!({"merge": "letters/sent", "data": {"n": {"$inc": 1}, "at": {"$now": true}}});
    for writes in [
        json!([merge]),
        json!([merge, {"create": "letters/other", "data": {"text": "x"}}]),
    ] {
        let merged = commit(writes).await;
        let outcome = &merged.writes[0];
        assert_eq!((&outcome.document, outcome.existed), (&None, false));
        let fields: Vec<_> = outcome
            .results
            .iter()
            .map(|(field, _)| field.to_string())
            .collect();
        assert_eq!(fields, ["at"], "the sum would tell what was there");
    }
    let replaced = commit(json!([{"set": "letters/sent", "data": {"text": "new"}}])).await;
    assert_eq!(
        (&replaced.writes[0].document, replaced.writes[0].existed),
        (&None, false)
    );

    let own = commit(json!([{"merge": "things/a", "data": {"n": {"$inc": 1}}}])).await;
    assert_eq!(own.writes[0].results.len(), 1);
    assert!(own.writes[0].existed);
    assert_eq!(
        &*own.writes[0].document.as_ref().unwrap().data,
        r#"{"n":2,"owner":"alice"}"#
    );
}

#[tokio::test]
async fn a_retry_is_answered_to_the_same_caller_with_what_it_may_still_see() {
    let test = TestEngine::start();
    start(&test).await;
    let body = || commit_body(json!({"writes": [{"merge": "things/a", "data": {"n": {"$inc": 1}}}]}));
    let alice = user("alice");
    let first = test.engine.commit(&alice, body(), Some("key")).await.unwrap();
    let again = test.engine.commit(&alice, body(), Some("key")).await.unwrap();
    assert!(again.is_replay);
    assert_eq!(again.writes, first.writes);
    let other = test.engine.commit(&user("bob"), body(), Some("key")).await;
    assert_eq!(other.unwrap_err().code(), ErrorCode::PermissionDenied);

    test.engine
        .set_rules(Some(rules("2", "match /letters/{id} { allow read; }")));
    let later = test.engine.commit(&alice, body(), Some("key")).await.unwrap();
    assert_eq!((later.version, &later.writes[0].document), (first.version, &None));
    assert_eq!(later.writes[0].results, []);
    assert_eq!(test.data("things/a")["n"], json!(2));
}

#[tokio::test]
async fn created_documents_with_generated_ids_are_judged_too() {
    let test = TestEngine::start();
    start(&test).await;
    let collection = "things".parse().unwrap();
    let data = |owner: &str| {
        andiron_protocol::WriteData::from_json(json!({ "owner": owner }).to_string().as_bytes()).unwrap()
    };
    let created = test
        .engine
        .create(&user("alice"), &collection, data("alice"), None)
        .await
        .unwrap();
    assert!(created.writes[0].document.is_some());
    let refused = test
        .engine
        .create(&user("alice"), &collection, data("bob"), None)
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::PermissionDenied);
    assert!(
        test.engine
            .get(&OWNER, &document_path("things/a"))
            .unwrap()
            .is_some()
    );
}
