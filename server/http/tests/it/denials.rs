//! Denials by the rules: what the client is told, what those who look after the server are.

use andiron_http::HttpOptions;
use serde_json::json;

use crate::client::Request;
use crate::server::Server;

const RULES: &str = "rules_version = 'andiron1';
service cloud.firestore { match /databases/{db}/documents {
  match /notes/{id} { allow get: if resource.data.public == true; }
  match /said/{id} { allow get: if false else \"ask the owner\"; }
  match /box/{id} { allow write; }
} }";

async fn server(shows_denials: bool) -> Server {
    let server = Server::with(HttpOptions {
        shows_denials,
        ..HttpOptions::default()
    })
    .await;
    server.set_rules(RULES);
    for path in ["notes/hidden", "box/full"] {
        let put =
            Request::new("PUT", &format!("/api/v1/docs/{path}")).json(&json!({"public": false, "n": 1}));
        assert_eq!(server.send(put).await.status, 201);
    }
    server
}

#[tokio::test]
async fn clients_are_told_nothing_of_why_and_the_same_of_what_is_not_there() {
    let server = server(false).await;
    let mut told = Vec::new();
    for path in ["notes/hidden", "notes/none"] {
        let answer = server
            .send_as_it_is(Request::get(&format!("/api/v1/docs/{path}")).header("x-request-id", "same"))
            .await;
        assert_eq!(answer.status, 403);
        told.push(answer.json());
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(
        told[0],
        json!({
            "type": "about:blank", "title": "Permission denied", "status": 403, "code": "permission-denied",
            "detail": "missing or insufficient permissions", "requestId": "same",
        })
    );
}

#[tokio::test]
async fn what_the_rules_say_to_the_client_is_said() {
    let server = server(false).await;
    let answer = server.send_as_it_is(Request::get("/api/v1/docs/said/x")).await;
    assert_eq!(answer.json()["detail"], "ask the owner");
}

#[tokio::test]
async fn in_development_everybody_is_told_where_and_why() {
    let server = server(true).await;
    let answer = server
        .send_as_it_is(Request::get("/api/v1/docs/notes/hidden"))
        .await;
    let problem = answer.json();
    assert_eq!((&problem["line"], &problem["column"]), (&json!(3), &json!(37)));
    assert_eq!(
        problem["detail"],
        "missing or insufficient permissions: get of `notes/hidden` is denied by the rules, revision 7: \
         andiron.rules:3:37: `resource.data.public == true` is false"
    );
}

#[tokio::test]
async fn administrators_are_always_told_why() {
    let server = server(false).await;
    let answer = server.send(Request::get("/api/v1/docs/_keys/x")).await;
    assert_eq!(answer.status, 403);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("system collections are closed"), "{detail}");
}

#[tokio::test]
async fn who_may_write_and_not_read_is_answered_with_a_version_alone() {
    let server = server(false).await;
    for (method, path) in [
        ("PUT", "box/full"),
        ("PUT", "box/new"),
        ("PATCH", "box/full"),
        ("PATCH", "box/newer"),
    ] {
        let write = Request::new(method, &format!("/api/v1/docs/{path}")).json(&json!({"m": 1}));
        let answer = server.send_as_it_is(write).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.len()),
            (204, 0),
            "{method} {path}"
        );
        let now = server.send(Request::get(&format!("/api/v1/docs/{path}"))).await;
        assert_eq!(answer.header("etag"), now.header("etag"));
    }
    let create = Request::new("POST", "/api/v1/docs/box").json(&json!({"m": 1}));
    let created = server.send_as_it_is(create).await;
    assert_eq!(
        (created.status.as_u16(), created.json()["data"].clone()),
        (201, json!({"m": 1}))
    );
    let only_new = Request::new("PUT", "/api/v1/docs/box/full")
        .header("if-none-match", "*")
        .json(&json!({"m": 1}));
    let refused = server.send_as_it_is(only_new).await;
    assert_eq!(refused.code(), "permission-denied", "not `already-exists`");
    let conditional = Request::new("PUT", "/api/v1/docs/box/full")
        .header("if-match", "\"17\"")
        .json(&json!({"m": 1}));
    let refused = server.send_as_it_is(conditional).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (403, "permission-denied")
    );
}
