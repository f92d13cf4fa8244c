//! What rules demand of documents is looked for, not looked through.

use andiron_engine::QueryOptions;
use andiron_store::{IndexDefinition, IndexField, IndexFieldKind, IndexScope};
use serde_json::{Value as Json, json};

use crate::rules_support::{page, user};
use crate::support::{OWNER, TestEngine};

/// 3,000 notes, 50 of alice.
async fn notes() -> TestEngine {
    let test = TestEngine::start();
    test.write(json!([{"set": "members/alice", "data": {"team": "t0"}}]))
        .await;
    let writes: Vec<_> = (0..3000)
        .map(|number| {
            let owner = if number % 60 == 7 { "alice".to_owned() } else { format!("u{}", number % 60) };
            let data = json!({"owner": owner, "team": format!("t{}", number % 60 - 7), "n": number, "text": "x", "done": number % 120 == 7});
            json!({"set": format!("notes/n{number:04}"), "data": data})
        })
        .collect();
    for writes in writes.chunks(500) {
        test.write(json!(writes)).await;
    }
    test
}

/// What a query reads and returns when it has been asked often enough to get its index.
async fn reads(test: &TestEngine, query: &Json) -> (u64, usize) {
    let mut last = (0, 0);
    for _ in 0..4 {
        let before = test.engine.metrics().query_reads.get();
        let (ids, _) = page(&test.engine, &user("alice"), query.clone()).await.unwrap();
        last = (test.engine.metrics().query_reads.get() - before, ids.len());
        test.engine.settle_indexes().await.unwrap();
    }
    last
}

#[tokio::test]
async fn lists_read_at_most_twice_what_they_return() {
    let test = notes().await;
    // As few documents as these the engine would rather sort than keep an index for.
    for owner in ["owner", "team"] {
        for other in ["n", "done"] {
            let fields = [owner, other].map(|field| IndexField {
                field: field.parse().unwrap(),
                kind: IndexFieldKind::Ascending,
            });
            let definition = IndexDefinition {
                collection: "notes".to_owned(),
                scope: IndexScope::Collection,
                fields: fields.to_vec(),
            };
            test.engine.create_index(&OWNER, definition).await.unwrap();
        }
    }
    for rules in [
        "match /notes/{id} { allow read: if resource.data.owner == request.auth.uid; }",
        "match /notes/{id} { allow read: if request.auth != null && request.auth.uid == resource.data.owner; }",
        // What no filter says is left to be asked of each document.
        "match /notes/{id} { allow read: if resource.data.owner == request.auth.uid && resource.data.text.matches('x+'); }",
        // The filter is known once a document is looked up.
        "match /notes/{id} {
           allow read: if get(/databases/$(db)/documents/members/$(request.auth.uid)).data.team == resource.data.team;
         }",
        "function isOwner() { return resource.data.owner == request.auth.uid; }
         match /notes/{id} { allow read: if isOwner() || resource.data.owner == 'nobody'; }",
    ] {
        test.under(rules);
        for (query, expected) in [
            (json!({"from": "notes"}), 50),
            (json!({"from": "notes", "limit": 10}), 10),
            (json!({"from": "notes", "orderBy": [["n", "desc"]], "limit": 10}), 10),
            (json!({"from": "notes", "orderBy": [["n", "asc"]], "limit": 10, "limitToLast": true}), 10),
            (json!({"from": "notes", "where": ["n", ">", 1000], "limit": 10}), 10),
            (json!({"from": "notes", "where": ["done", "==", true], "limit": 10}), 10),
        ] {
            let (read, returned) = reads(&test, &query).await;
            assert_eq!(returned, expected, "{query} by {rules}");
            assert!(read <= 2 * returned as u64, "{read} reads for {returned}: {query} by {rules}");
        }
    }
}

#[tokio::test]
async fn counts_under_rules_that_push_down_look_into_no_document() {
    let test = notes().await;
    test.under("match /notes/{id} { allow list: if resource.data.owner == request.auth.uid; }");
    reads(&test, &json!({"from": "notes"})).await;
    let body = json!({"query": {"from": "notes"}, "aggregates": {"n": ["count"]}});
    let body = serde_json::from_str(&body.to_string()).unwrap();
    let before = test.engine.metrics().query_reads.get();
    let counted = test
        .engine
        .aggregate(&user("alice"), body, QueryOptions::default())
        .await
        .unwrap();
    assert_eq!(counted.aggregates["n"], andiron_protocol::Value::Integer(50));
    assert!(test.engine.metrics().query_reads.get() - before <= 50);
}

#[tokio::test]
async fn a_list_of_which_nothing_could_ever_be_seen_is_denied_and_reads_nothing() {
    let test = notes().await;
    for rules in [
        "match /notes/{id} { allow get; }",
        "match /notes/{id} { allow list: if request.auth.uid == 'bob'; }",
        "match /notes/{id} { allow list: if request.query.limit <= 10; }",
    ] {
        test.under(rules);
        let before = test.engine.metrics().query_reads.get();
        let denied = page(
            &test.engine,
            &user("alice"),
            json!({"from": "notes", "limit": 20}),
        )
        .await
        .unwrap_err();
        assert_eq!(
            denied.code(),
            andiron_protocol::ErrorCode::PermissionDenied,
            "{rules}"
        );
        assert_eq!(test.engine.metrics().query_reads.get(), before);
    }
}
