//! The change feed over the wire: as events, as lines, on a socket, and where it is refused.

use andiron_auth::{ClientInfo, NewKey, ServiceKeys};
use andiron_engine::Caller;
use serde_json::{Value as Json, json};

use crate::client::Request;
use crate::live::{Events, Socket, delete, put};
use crate::live_resume::trim_log;
use crate::server::Server;

fn brief(frame: &Json) -> Vec<String> {
    assert_eq!(frame["op"], "changes", "{frame}");
    let changes = frame["changes"].as_array().unwrap();
    let one = |change: &Json| {
        let (kind, path) = (change["type"].as_str().unwrap(), change["path"].as_str().unwrap());
        let side = |side: &str| change[side]["data"]["n"].clone();
        format!("{kind} {path} {} {}", side("before"), side("after"))
    };
    changes.iter().map(one).collect()
}

fn feed(server: &Server, target: &str) -> Request {
    Request::get(target).header("authorization", &format!("Bearer {}", server.key))
}

fn events(server: &Server, target: &str) -> Request {
    feed(server, target).header("accept", "text/event-stream")
}

async fn lines(server: &Server, target: &str) -> Vec<Json> {
    let answer = server.send(Request::get(target)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn lines_tell_what_there_is_and_how_far_that_is() {
    let server = Server::start().await;
    put(&server, "posts/p1", json!({"n": 1})).await;
    put(&server, "posts/p1", json!({"n": 2})).await;
    put(&server, "drafts/d1", json!({"n": 1})).await;
    delete(&server, "posts/p1").await;
    let all = lines(&server, "/api/v1/changes?after=0").await;
    let told: Vec<_> = all.iter().flat_map(brief).collect();
    assert_eq!(
        told,
        [
            "create posts/p1 null 1",
            "update posts/p1 1 2",
            "create drafts/d1 null 1",
            "delete posts/p1 2 null"
        ]
    );
    let after = all[1]["version"].as_str().unwrap();
    let rest = lines(
        &server,
        &format!("/api/v1/changes?after={after}&collections=drafts"),
    )
    .await;
    assert_eq!(brief(&rest[0]), ["create drafts/d1 null 1"]);
    // What concerns nobody moves the position all the same.
    let last = rest.last().unwrap();
    assert_eq!(
        (&last["version"], &last["changes"]),
        (&all[3]["version"], &json!([]))
    );
    let after = last["version"].as_str().unwrap();
    let waited = lines(&server, &format!("/api/v1/changes?after={after}&wait=0")).await;
    assert!(waited.is_empty(), "there is nothing more");
    let later = format!("/api/v1/changes?after={after}&groups=comments");
    let (waited, ()) = tokio::join!(
        lines(&server, &later),
        put(&server, "posts/p2/comments/c1", json!({"n": 7}))
    );
    assert_eq!(brief(&waited[0]), ["create posts/p2/comments/c1 null 7"]);
}

#[tokio::test]
async fn events_go_on_after_their_ids() {
    let server = Server::start().await;
    put(&server, "posts/p1", json!({"n": 1})).await;
    let mut all = Events::open(
        &server,
        events(&server, "/api/v1/changes?after=0&collections=posts"),
    )
    .await;
    let (id, first) = all.next().await.unwrap();
    assert_eq!(brief(&first), ["create posts/p1 null 1"]);
    assert_eq!(first["version"], id);
    put(&server, "posts/p1", json!({"n": 2})).await;
    assert_eq!(brief(&all.next().await.unwrap().1), ["update posts/p1 1 2"]);
    drop(all);
    let resumed = events(&server, "/api/v1/changes?after=0").header("last-event-id", &id);
    let (_, next) = Events::open(&server, resumed).await.next().await.unwrap();
    assert_eq!(
        brief(&next),
        ["update posts/p1 1 2"],
        "the id goes before the parameter"
    );
}

#[tokio::test]
async fn a_socket_tells_the_same_and_hears_nothing() {
    let server = Server::start().await;
    put(&server, "posts/p1", json!({"n": 1})).await;
    let bearer = format!("Bearer {}", server.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("sec-websocket-protocol", "andiron.v1"),
    ];
    let mut socket = Socket::connect(&server, "/api/v1/changes?after=0", &headers)
        .await
        .unwrap();
    assert_eq!(brief(&socket.next().await), ["create posts/p1 null 1"]);
    put(&server, "posts/p2", json!({"n": 2})).await;
    assert_eq!(brief(&socket.next().await), ["create posts/p2 null 2"]);
    socket.send(json!({"op": "listen"})).await;
    assert_eq!(socket.next().await["error"]["code"], "invalid-argument");
    assert!(socket.next().await.is_null());
    let from_elsewhere = [
        ("authorization", bearer.as_str()),
        ("origin", "https://evil.example"),
    ];
    assert!(
        Socket::connect(&server, "/api/v1/changes", &from_elsewhere)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_key_that_is_revoked_hears_no_more() {
    let server = Server::start().await;
    let keys = ServiceKeys::new(server.engine.clone());
    let (owner, client) = (Caller::Owner, ClientInfo::default());
    let created = keys
        .create(NewKey::for_everything("worker"), &owner, &client)
        .await
        .unwrap();
    let secret = created.key.expose();
    let request = Request::get("/api/v1/changes?collections=posts")
        .header("accept", "text/event-stream")
        .header("authorization", &format!("Bearer {secret}"));
    let mut told = Events::open(&server, request).await;
    put(&server, "posts/p1", json!({"n": 1})).await;
    assert_eq!(brief(&told.next().await.unwrap().1), ["create posts/p1 null 1"]);
    keys.revoke("worker", &owner, &client).await.unwrap();
    put(&server, "posts/p2", json!({"n": 1})).await;
    let (_, end) = told.next().await.unwrap();
    assert_eq!(end["error"]["code"], "unauthenticated", "{end}");
    assert!(told.next().await.is_none());
}

#[tokio::test]
async fn what_cannot_be_followed_says_why() {
    let server = Server::start().await;
    for (target, status, code) in [
        ("/api/v1/changes?after=x", 400, "invalid-argument"),
        ("/api/v1/changes?wait=51", 400, "invalid-argument"),
        ("/api/v1/changes?collections=a/b", 400, "invalid-argument"),
        ("/api/v1/changes?collection=a", 400, "invalid-argument"),
        ("/api/v1/changes?collections=_accounts", 403, "permission-denied"),
        ("/api/v1/changes?after=9000000000000000000", 410, "out-of-range"),
    ] {
        let answer = server.send(Request::get(target)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{target}: {}",
            answer.text()
        );
    }
    let anonymous = server.send_as_it_is(Request::get("/api/v1/changes?wait=0")).await;
    assert_eq!(anonymous.status, 403);
    put(&server, "posts/p1", json!({"n": 1})).await;
    let trimmed = trim_log(&server);
    let answer = server.send(Request::get("/api/v1/changes?after=0")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (410, "out-of-range")
    );
    assert!(
        lines(&server, &format!("/api/v1/changes?after={trimmed}&wait=0"))
            .await
            .is_empty()
    );
}
