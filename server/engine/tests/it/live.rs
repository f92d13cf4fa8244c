//! Live queries: what single things that happen come to.

use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{Caller, LiveChanges, LiveConnection, LiveMessage, LiveTarget};
use andiron_protocol::ErrorCode;
use serde_json::{Value as Json, json};

use crate::rules_support::{query_of, rules, user};
use crate::support::{OWNER, TestEngine, document_path};

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

fn target(query: Json) -> LiveTarget {
    LiveTarget::Query(Arc::new(query_of(query)))
}

async fn next(connection: &LiveConnection) -> LiveMessage {
    let next = tokio::time::timeout(PATIENCE, connection.next()).await;
    next.expect("a message comes").expect("the engine is open")
}

pub(crate) async fn changes(connection: &LiveConnection) -> LiveChanges {
    match next(connection).await {
        LiveMessage::Changes(changes) => changes,
        LiveMessage::Ended { error, .. } => panic!("{error}"),
    }
}

async fn end(connection: &LiveConnection) -> ErrorCode {
    loop {
        if let LiveMessage::Ended { error, .. } = next(connection).await {
            return error.code();
        }
    }
}

/// What a step says: `+id` for what is set, `-path` for what is removed.
pub(crate) fn said(changes: &LiveChanges) -> Vec<String> {
    let listed: Vec<Json> = serde_json::from_slice(&changes.changes).unwrap();
    listed
        .iter()
        .map(|change| match change["type"].as_str().unwrap() {
            "set" => format!("+{}", change["document"]["id"].as_str().unwrap()),
            _ => format!("-{}", change["path"].as_str().unwrap()),
        })
        .collect()
}

fn listen(test: &TestEngine, caller: &Caller, query: Json, resume: Option<&str>) -> LiveConnection {
    let connection = test.engine.live();
    connection.listen(1, caller, target(query), resume).unwrap();
    connection
}

#[tokio::test]
async fn a_window_takes_in_what_comes_after_the_document_that_leaves() {
    let test = TestEngine::start();
    test.write(json!([
        { "set": "c/1", "data": { "n": 1 } }, { "set": "c/2", "data": { "n": 2 } }, { "set": "c/3", "data": { "n": 3 } },
    ]))
    .await;
    let connection = listen(
        &test,
        &OWNER,
        json!({ "from": "c", "orderBy": [["n", "asc"]], "limit": 2 }),
        None,
    );
    let first = changes(&connection).await;
    assert!(first.reset && !first.more);
    assert_eq!(said(&first), ["+1", "+2"]);
    // Behind the window nothing matters.
    test.write(json!([{ "set": "c/4", "data": { "n": 4 } }])).await;
    test.write(json!([{ "delete": "c/1" }])).await;
    let second = changes(&connection).await;
    assert!(!second.reset);
    assert_eq!(said(&second), ["+3", "-c/1"]);
}

#[tokio::test]
async fn a_listen_goes_on_from_its_token() {
    let test = TestEngine::start();
    test.write(json!([{ "set": "c/1", "data": { "n": 1 } }, { "set": "c/2", "data": { "n": 2 } }]))
        .await;
    for query in [
        json!({ "from": "c" }),
        json!({ "from": "c", "orderBy": [["n", "desc"]], "limit": 2 }),
    ] {
        let connection = listen(&test, &OWNER, query.clone(), None);
        let token = changes(&connection).await.resume.to_string();
        drop(connection);
        test.write(json!([{ "set": "c/3", "data": { "n": 3 } }, { "delete": "c/1" }]))
            .await;
        let resumed = changes(&listen(&test, &OWNER, query.clone(), Some(&token))).await;
        assert!(!resumed.reset);
        let mut said = said(&resumed);
        said.sort();
        assert_eq!(said, ["+3", "-c/1"]);
        // Not of another query, not of another caller, and not whatever it is.
        let other = json!({ "from": "c", "limit": 3 });
        for (caller, query, token) in [
            (&OWNER, &other, token.as_str()),
            (&Caller::unrestricted_key("k"), &query, &token),
            (&OWNER, &query, "nonsense"),
        ] {
            assert!(
                changes(&listen(&test, caller, query.clone(), Some(token)))
                    .await
                    .reset
            );
        }
        test.write(json!([{ "delete": "c/3" }, { "set": "c/1", "data": { "n": 1 } }]))
            .await;
    }
}

#[tokio::test]
async fn other_rules_take_away_and_end() {
    let test = TestEngine::start();
    test.under("match /c/{id} { allow list: if resource.data.public; }");
    test.write(json!([
        { "set": "c/1", "data": { "public": true, "a": 1 } }, { "set": "c/2", "data": { "public": true, "a": 2 } },
    ]))
    .await;
    let connection = listen(&test, &user("a"), json!({ "from": "c" }), None);
    assert_eq!(said(&changes(&connection).await), ["+1", "+2"]);
    test.engine.set_rules(Some(rules(
        "2",
        "match /c/{id} { allow list: if resource.data.a == 1; }",
    )));
    let fewer = changes(&connection).await;
    assert!(fewer.reset);
    assert_eq!(said(&fewer), ["+1"]);
    test.engine
        .set_rules(Some(rules("3", "match /c/{id} { allow get: if true; }")));
    assert_eq!(end(&connection).await, ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn a_document_that_rules_looked_up_takes_away_when_it_changes() {
    let test = TestEngine::start();
    test.under(
        "match /c/{id} { allow list: if exists(/databases/$(db)/documents/members/$(request.auth.uid)); }
         match /d/{id} { allow list: if exists(/databases/$(db)/documents/members/$(resource.data.of)); }
         match /e/{id} { allow get: if exists(/databases/$(db)/documents/members/$(request.auth.uid)); }",
    );
    test.write(json!([
        { "set": "members/a", "data": {} }, { "set": "c/1", "data": {} }, { "set": "d/1", "data": { "of": "a" } },
        { "set": "d/2", "data": { "of": "b" } }, { "set": "e/1", "data": {} },
    ]))
    .await;
    let of_caller = listen(&test, &user("a"), json!({ "from": "c" }), None);
    let of_each = listen(&test, &user("a"), json!({ "from": "d" }), None);
    let of_one = test.engine.live();
    of_one
        .listen(1, &user("a"), LiveTarget::Document(document_path("e/1")), None)
        .unwrap();
    assert_eq!(said(&changes(&of_caller).await), ["+1"]);
    assert_eq!(said(&changes(&of_each).await), ["+1"]);
    assert_eq!(said(&changes(&of_one).await), ["+1"]);
    test.write(json!([{ "delete": "members/a" }, { "set": "members/b", "data": {} }]))
        .await;
    assert_eq!(end(&of_caller).await, ErrorCode::PermissionDenied);
    assert_eq!(end(&of_one).await, ErrorCode::PermissionDenied);
    let changed = changes(&of_each).await;
    assert!(!changed.reset, "what it had is remembered");
    assert_eq!(said(&changed), ["+2", "-d/1"]);
}

#[tokio::test]
async fn another_caller_on_the_connection_sees_what_is_its_own() {
    let test = TestEngine::start();
    test.under("match /c/{id} { allow list: if resource.data.owner == request.auth.uid; }");
    test.write(json!([
        { "set": "c/1", "data": { "owner": "a" } }, { "set": "c/2", "data": { "owner": "b" } },
    ]))
    .await;
    let connection = listen(&test, &user("a"), json!({ "from": "c" }), None);
    assert_eq!(said(&changes(&connection).await), ["+1"]);
    connection.set_caller(&user("b"));
    let changed = changes(&connection).await;
    assert!(changed.reset);
    assert_eq!(said(&changed), ["+2"]);
}

#[tokio::test]
async fn a_single_document_is_told_of_whether_or_not_it_is_there() {
    let test = TestEngine::start();
    let connection = test.engine.live();
    connection
        .listen(7, &OWNER, LiveTarget::Document(document_path("c/1")), None)
        .unwrap();
    let first = changes(&connection).await;
    assert!(first.reset);
    assert_eq!(said(&first), [""; 0]);
    test.write(json!([{ "set": "c/1", "data": {} }, { "set": "c/2", "data": {} }]))
        .await;
    assert_eq!(said(&changes(&connection).await), ["+1"]);
    test.write(json!([{ "delete": "c/1" }])).await;
    assert_eq!(said(&changes(&connection).await), ["-c/1"]);
}

#[tokio::test]
async fn the_same_id_twice_and_too_many_listens_are_refused() {
    let test = TestEngine::start();
    let connection = test.engine.live();
    let query = || target(json!({ "from": "c" }));
    connection.listen(1, &OWNER, query(), None).unwrap();
    let twice = connection.listen(1, &OWNER, query(), None).unwrap_err();
    assert_eq!(twice.code(), ErrorCode::InvalidArgument);
    for id in 2..=1_000 {
        connection.listen(id, &OWNER, query(), None).unwrap();
    }
    let too_many = connection.listen(1_001, &OWNER, query(), None).unwrap_err();
    assert_eq!(too_many.code(), ErrorCode::ResourceExhausted);
    connection.unlisten(1);
    connection.listen(1_001, &OWNER, query(), None).unwrap();
}

#[tokio::test]
async fn a_watch_tells_of_documents_of_the_system_too() {
    let test = TestEngine::start();
    let watch = test.engine.watch(vec![document_path("_accounts/a")]);
    tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .expect("of its beginning");
    let body = crate::support::commit_body(json!({ "writes": [{ "set": "_accounts/a", "data": {} }] }));
    test.engine.commit(&Caller::System, body, None).await.unwrap();
    tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .expect("of the change");
}

#[tokio::test]
async fn closing_the_engine_ends_connections() {
    let test = TestEngine::start();
    let connection = listen(&test, &OWNER, json!({ "from": "c" }), None);
    changes(&connection).await;
    test.engine.close();
    let next = tokio::time::timeout(PATIENCE, connection.next()).await.unwrap();
    assert!(next.is_none());
}
