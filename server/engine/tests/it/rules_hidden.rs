//! What is kept from a caller cannot be found out by asking otherwise.
//!
//! Mostly in the form of two worlds that differ only in what is hidden: every answer must be the same in both.

use andiron_engine::{Caller, EngineError, QueryOptions};
use andiron_protocol::ErrorCode;
use andiron_store::{IndexDefinition, IndexField, IndexFieldKind, IndexScope};
use serde_json::{Value as Json, json};

use crate::rules_support::{page, query_of, user};
use crate::support::{OWNER, TestEngine, commit_body};

/// Own documents, by a condition that an index can serve, by one that needs each document and a look-up, and by one of
/// which nothing shows in the document.
const RULE_SETS: [&str; 3] = [
    "match /notes/{id} { allow read, write: if resource == null || resource.data.owner == request.auth.uid; }
     match /{p=**}/deep/{id} { allow read: if resource.data.owner == request.auth.uid; }",
    "match /notes/{id} {
       allow read, write: if resource == null
         || get(/databases/$(db)/documents/owners/$(resource.data.owner)).data.uid == request.auth.uid;
     }
     match /{p=**}/deep/{id} {
       allow read: if get(/databases/$(db)/documents/owners/$(resource.data.owner)).data.uid == request.auth.uid;
     }",
    "match /notes/{id} { allow read, write: if exists(/databases/$(db)/documents/readers/$(request.auth.uid)/of/$(id)); }
     match /{p=**}/deep/{id} { allow read: if exists(/databases/$(db)/documents/readers/$(request.auth.uid)/of/$(id)); }",
];

/// A world with alice's notes, and with these of bob's among them.
async fn world(rules: &str, hidden: &[Json]) -> TestEngine {
    let test = TestEngine::start();
    let mut writes = vec![
        json!({"set": "owners/alice", "data": {"uid": "alice"}}),
        json!({"set": "owners/bob", "data": {"uid": "bob"}}),
    ];
    for number in 0..10 {
        let data = json!({"owner": "alice", "n": number, "text": "x".repeat(number)});
        writes.push(json!({"set": format!("readers/alice/of/a{number}"), "data": {}}));
        writes.push(json!({"set": format!("notes/a{number}"), "data": data}));
        writes.push(json!({"set": format!("places/p{number}/deep/a{number}"), "data": data}));
    }
    for (number, data) in hidden.iter().enumerate() {
        let mut data = data.clone();
        data["owner"] = json!("bob");
        // Between hers, and many behind all of hers.
        let id = if number < 10 {
            format!("a{number}h")
        } else {
            format!("z{number}")
        };
        writes.push(json!({"set": format!("notes/{id}"), "data": data}));
        writes.push(json!({"set": format!("places/p{number}/deep/{id}"), "data": data}));
    }
    // The same in both worlds: one commit, at one version.
    test.write(json!(writes)).await;
    // So that offsets and counts could be taken from keys alone.
    let by_n = IndexDefinition {
        collection: "notes".to_owned(),
        scope: IndexScope::Collection,
        fields: vec![IndexField {
            field: "n".parse().unwrap(),
            kind: IndexFieldKind::Ascending,
        }],
    };
    test.engine.create_index(&OWNER, by_n).await.unwrap();
    test.engine.settle_indexes().await.unwrap();
    test.under(rules);
    test
}

/// What a query answers, whole: documents, whether it goes on, or why not.
async fn answer(test: &TestEngine, query: &Json) -> String {
    match page(&test.engine, &user("alice"), query.clone()).await {
        Ok((ids, end)) => format!("{ids:?} {:?}", end.cursor),
        Err(error) => format!("{} {error}", error.code().as_str()),
    }
}

async fn figures(test: &TestEngine, query: &Json) -> String {
    let body = json!({"query": query, "aggregates": {
        "count": ["count"], "sum": ["sum", "n"], "mean": ["avg", "n"], "least": ["min", "n"], "most": ["max", "n"],
    }});
    let body = serde_json::from_str(&body.to_string()).unwrap();
    match test
        .engine
        .aggregate(&user("alice"), body, QueryOptions::default())
        .await
    {
        Ok(figures) => format!("{:?}", figures.aggregates),
        Err(error) => format!("{} {error}", error.code().as_str()),
    }
}

#[tokio::test]
async fn queries_and_figures_are_the_same_whatever_is_hidden() {
    let queries = [
        json!({"from": "notes"}),
        json!({"from": "notes", "limit": 3}),
        json!({"from": "notes", "limit": 10}),
        json!({"from": "notes", "offset": 2, "limit": 2}),
        json!({"from": "notes", "orderBy": [["n", "desc"]]}),
        json!({"from": "notes", "orderBy": [["n", "desc"]], "limit": 4}),
        json!({"from": "notes", "orderBy": [["n", "asc"]], "limit": 4, "limitToLast": true}),
        json!({"from": "notes", "orderBy": [["n", "asc"]], "offset": 7}),
        json!({"from": "notes", "where": ["n", ">=", 4]}),
        json!({"from": "notes", "where": ["n", "==", 4]}),
        json!({"from": "notes", "where": ["secret", "==", true]}),
        json!({"from": "notes", "where": ["owner", "==", "bob"]}),
        json!({"from": "notes", "where": ["owner", "in", ["bob", "alice"]], "limit": 4}),
        json!({"from": "notes", "orderBy": [["n", "asc"]], "startAt": [3], "endBefore": [6]}),
        json!({"from": "notes", "orderBy": [["n", "asc"]], "startAfter": [3, "notes/a3h"], "limit": 1}),
        json!({"from": "notes", "orderBy": [["secret", "asc"]]}),
        json!({"from": {"group": "deep"}, "orderBy": [["n", "asc"]], "limit": 3}),
        json!({"from": {"group": "deep"}, "where": ["n", "<", 5]}),
        json!({"from": {"group": "deep"}, "limit": 10}),
        json!({"from": "owners"}),
        json!({"from": "nothing"}),
    ];
    let many: Vec<_> = (0..200)
        .map(|number| json!({"n": number % 12, "secret": true}))
        .collect();
    for rules in RULE_SETS {
        let without = world(rules, &[]).await;
        let with_few = world(
            rules,
            &[
                json!({"n": 3}),
                json!({"n": 100, "secret": true}),
                json!({"n": -1}),
            ],
        )
        .await;
        let with_many = world(rules, &many).await;
        for query in &queries {
            let expected = (answer(&without, query).await, figures(&without, query).await);
            for test in [&with_few, &with_many] {
                assert_eq!(
                    (answer(test, query).await, figures(test, query).await),
                    expected,
                    "{query} by {rules}"
                );
            }
        }
    }
}

#[tokio::test]
async fn pages_go_on_over_what_is_hidden() {
    for rules in RULE_SETS {
        let many: Vec<_> = (0..150).map(|number| json!({"n": number % 12})).collect();
        let test = world(rules, &many).await;
        let mut query = json!({"from": "notes", "orderBy": [["n", "asc"]], "limit": 3});
        let mut found = Vec::new();
        loop {
            let (ids, end) = page(&test.engine, &user("alice"), query.clone()).await.unwrap();
            assert!(
                !ids.is_empty(),
                "no page is empty because of what is hidden behind it"
            );
            found.extend(ids);
            match end.cursor {
                Some(cursor) => query["cursor"] = json!(cursor),
                None => break,
            }
        }
        assert_eq!(
            found,
            (0..10).map(|number| format!("a{number}")).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn values_of_a_hidden_document_cannot_be_tried_out_by_forged_cursors() {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    for rules in RULE_SETS {
        let test = world(rules, &[json!({"n": 3})]).await;
        let query = json!({"from": "notes", "orderBy": [["n", "asc"]], "limit": 2});
        let (_, end) = page(&test.engine, &user("alice"), query.clone()).await.unwrap();
        let version = end.version;
        // A cursor of our own making has no secret in it: the form, a checksum over the query, the place.
        let forge = |path: &str, value: i64| {
            let digest = encode(&Sha256::digest(serde_json::to_vec(&[json!(value)]).unwrap()));
            let content = serde_json::to_vec(
                &json!({"path": path, "recorded": {"version": version.to_string(), "digest": digest}}),
            )
            .unwrap();
            let orders = query_of(query.clone())
                .order_by
                .iter()
                .map(|order| (order.field.clone(), false))
                .collect::<Vec<_>>();
            type NoBound = Option<(
                Vec<andiron_protocol::Value>,
                Option<andiron_protocol::DocumentPath>,
                bool,
            )>;
            let none: Option<andiron_protocol::Filter> = None;
            let bound: NoBound = None;
            let json = serde_json::to_vec(&((false, "notes"), none, orders, bound.clone(), bound)).unwrap();
            let mut hasher = Sha256::new();
            hasher.update((json.len() as u64).to_be_bytes());
            hasher.update(&json);
            hasher.update(&content);
            let mut bytes = vec![1];
            bytes.extend_from_slice(&hasher.finalize()[..12]);
            bytes.extend_from_slice(&content);
            encode(&bytes)
        };
        let mut answers = Vec::new();
        for (path, value) in [("notes/a0h", 3), ("notes/a0h", 4), ("notes/none", 3)] {
            let mut query = query.clone();
            query["cursor"] = json!(forge(path, value));
            answers.push(answer(&test, &query).await);
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2]);
        let mut query = query.clone();
        query["cursor"] = json!(forge("notes/a3", 3));
        assert_eq!(
            page(&test.engine, &user("alice"), query).await.unwrap().0,
            ["a4", "a5"],
            "the forgery is a good one"
        );
    }
}

/// Rules that let everybody write and nobody read, and rules that let nobody do anything.
const BLIND: &str = "match /notes/{id} { allow write; }";

#[tokio::test]
async fn conditions_of_writes_tell_nothing_to_those_who_may_not_read() {
    let caller = user("alice");
    for rules in RULE_SETS.into_iter().chain([BLIND]) {
        let test = world(rules, &[json!({"n": 3})]).await;
        let version = test.document("notes/a0h").unwrap().version.to_string();
        for conditional in [
            json!({"create": "notes/a0h", "data": {}}),
            json!({"set": "notes/a0h", "data": {}, "if": {"exists": false}}),
            json!({"delete": "notes/a0h", "if": {"exists": false}}),
            json!({"merge": "notes/a0h", "data": {}, "if": {"version": "17"}}),
            json!({"update": "notes/a0h", "data": {}, "if": {"version": "17"}}),
            json!({"verify": "notes/a0h", "if": {"exists": false}}),
            json!({"verify": "notes/a0h", "if": {"exists": true}}),
            json!({"verify": "notes/a0h", "if": {"version": version}}),
        ] {
            let outcome = test.commit_as(&caller, json!({"writes": [conditional]})).await;
            assert_eq!(
                said(outcome),
                "permission-denied missing or insufficient permissions",
                "{conditional} by {rules}"
            );
        }
        for version in [json!(version), json!("17"), Json::Null] {
            let body = json!({"reads": [{"path": "notes/a0h", "version": version}], "writes": [{"verify": "notes/a0h", "if": {"exists": true}}]});
            assert_eq!(
                said(test.commit_as(&caller, body).await),
                "permission-denied missing or insufficient permissions"
            );
        }
    }
    // What is not there sounds the same.
    let test = world(BLIND, &[]).await;
    for conditional in [
        json!({"update": "notes/none", "data": {}}),
        json!({"set": "notes/none", "data": {}, "if": {"exists": true}}),
        json!({"delete": "notes/none", "if": {"version": "17"}}),
    ] {
        let outcome = test
            .commit_as(&user("alice"), json!({"writes": [conditional]}))
            .await;
        assert_eq!(
            said(outcome),
            "permission-denied missing or insufficient permissions",
            "{conditional}"
        );
    }
}

fn said(outcome: Result<andiron_engine::Committed, EngineError>) -> String {
    match outcome {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("{} {error}", error.code().as_str()),
    }
}

#[tokio::test]
async fn how_large_a_hidden_document_is_is_not_told() {
    let large = json!({"text": "y".repeat(900_000)});
    let writes = json!([{"merge": "notes/a0h", "data": {"more": "z".repeat(300_000)}}]);
    for (rules, expected) in [
        (BLIND, ErrorCode::PermissionDenied),
        (
            "match /notes/{id} { allow read, write; }",
            ErrorCode::InvalidArgument,
        ),
    ] {
        let test = world(rules, std::slice::from_ref(&large)).await;
        assert_eq!(test.refusal(&user("alice"), writes.clone()).await, Some(expected));
    }
}

#[tokio::test]
async fn conditions_are_told_to_those_who_may_read_and_write() {
    let test = world(RULE_SETS[0], &[]).await;
    for (write, expected) in [
        (
            json!({"create": "notes/a1", "data": {"owner": "alice"}}),
            ErrorCode::AlreadyExists,
        ),
        (json!({"update": "notes/none", "data": {}}), ErrorCode::NotFound),
        (
            json!({"merge": "notes/a1", "data": {}, "if": {"version": "17"}}),
            ErrorCode::FailedPrecondition,
        ),
        (
            json!({"verify": "notes/a1", "if": {"exists": false}}),
            ErrorCode::FailedPrecondition,
        ),
    ] {
        assert_eq!(
            test.refusal(&user("alice"), json!([write])).await,
            Some(expected),
            "{write}"
        );
    }
}

#[tokio::test]
async fn queries_of_a_commit_are_broken_by_changes_that_the_caller_sees_and_by_no_others() {
    for rules in RULE_SETS {
        let test = world(rules, &[json!({"n": 3})]).await;
        let alice = user("alice");
        let (_, end) = page(
            &test.engine,
            &alice,
            json!({"from": "notes", "where": ["n", ">", 2]}),
        )
        .await
        .unwrap();
        let body = || {
            json!({
                "queries": [{"query": {"from": "notes", "where": ["n", ">", 2]}, "version": end.version.to_string()}],
                "writes": [{"verify": "notes/a1", "if": {"exists": true}}],
            })
        };
        assert_eq!(said(test.commit_as(&alice, body()).await), "done");
        test.write(json!([{"merge": "notes/a0h", "data": {"n": 4}}]))
            .await;
        test.write(json!([{"set": "notes/new", "data": {"owner": "bob", "n": 4}}]))
            .await;
        test.write(json!([{"merge": "notes/a1", "data": {"n": 0}}])).await;
        assert_eq!(said(test.commit_as(&alice, body()).await), "done", "{rules}");
        test.write(json!([{"merge": "notes/a5", "data": {"n": 1}}])).await;
        assert!(
            said(test.commit_as(&alice, body()).await).starts_with("aborted"),
            "{rules}"
        );
    }
}

#[tokio::test]
async fn a_query_of_a_commit_from_long_ago_is_taken_to_have_changed() {
    let test = world(RULE_SETS[0], &[]).await;
    let (_, end) = page(&test.engine, &user("alice"), json!({"from": "notes"}))
        .await
        .unwrap();
    let body = || {
        json!({
            "queries": [{"query": {"from": "notes"}, "version": end.version.to_string()}],
            "writes": [{"verify": "notes/a1", "if": {"exists": true}}],
        })
    };
    for (count, expected) in [(9, "done"), (2, "aborted")] {
        for _ in 0..count {
            let others =
                (0..500).map(|number| json!({"set": format!("notes/o{number}"), "data": {"owner": "bob"}}));
            test.write(others.collect()).await;
        }
        let outcome = said(test.commit_as(&user("alice"), body()).await);
        assert!(outcome.starts_with(expected), "{outcome}");
    }
}

#[tokio::test]
async fn strict_queries_are_denied_where_not_all_is_theirs() {
    let test = world(RULE_SETS[0], &[json!({"n": 3})]).await;
    let strict = |query: Json| {
        let mut query = query;
        query["strict"] = json!(true);
        query
    };
    let outcome = page(&test.engine, &user("alice"), strict(json!({"from": "notes"}))).await;
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::PermissionDenied);
    let body = json!({"query": strict(json!({"from": "notes"})), "aggregates": {"n": ["count"]}});
    let body = serde_json::from_str(&body.to_string()).unwrap();
    let outcome = test
        .engine
        .aggregate(&user("alice"), body, QueryOptions::default())
        .await;
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::PermissionDenied);
    // What the query itself proves is answered.
    for rules in &RULE_SETS[..2] {
        test.under(rules);
        let own = strict(json!({"from": "notes", "where": ["owner", "==", "alice"]}));
        let found = page(&test.engine, &user("alice"), own.clone()).await.unwrap();
        assert_eq!(found.0.len(), 10);
        let denied = page(&test.engine, &user("bob"), own).await.unwrap_err();
        assert_eq!(denied.code(), ErrorCode::PermissionDenied);
    }
    // Who passes every rule passes them all at once.
    let everything = page(&test.engine, &Caller::Owner, strict(json!({"from": "notes"})))
        .await
        .unwrap();
    assert_eq!(everything.0.len(), 11);
}

#[tokio::test]
async fn an_idempotency_key_is_nobody_elses() {
    let test = world(RULE_SETS[0], &[]).await;
    let body = |uid: &str| {
        commit_body(json!({"writes": [{"create": format!("notes/{uid}"), "data": {"owner": uid}}]}))
    };
    test.engine
        .commit(&user("alice"), body("alice"), Some("k"))
        .await
        .unwrap();
    // The same key for another request of somebody else is no conflict.
    test.engine
        .commit(&user("bob"), body("bob"), Some("k"))
        .await
        .unwrap();
}
