//! Documents by their paths: reading, writing, conditions.

use serde_json::json;

use crate::client::Request;
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

#[tokio::test]
async fn documents_are_created_read_changed_and_deleted() {
    let server = Server::start().await;
    run(
        &server,
        vec![
            refuses(
                "nothing is there yet",
                "GET",
                "/api/v1/docs/posts/p1",
                404,
                "not-found",
            )
            .member("/path", "posts/p1"),
            answers("put creates", "PUT", "/api/v1/docs/posts/p1", 201)
                .body(r#"{"title":"A","n":1,"deep":{"a":1,"b":[1,2]}}"#)
                .member("/path", "posts/p1")
                .member("/id", "p1")
                .member("/data/title", "A"),
            answers("get reads it", "GET", "/api/v1/docs/posts/p1", 200)
                .member("/data/deep/b", json!([1, 2])),
            answers(
                "head is a get without the body",
                "HEAD",
                "/api/v1/docs/posts/p1",
                200,
            ),
            answers("put replaces", "PUT", "/api/v1/docs/posts/p1", 200)
                .header("content-type", "application/json; charset=utf-8")
                .body(r#"{"n":{"$inc":5},"deep":{"a":1,"b":2}}"#)
                .member("/data", json!({"n": 5, "deep": {"a": 1, "b": 2}})),
            answers(
                "patch merges deeply and transforms",
                "PATCH",
                "/api/v1/docs/posts/p1",
                200,
            )
            .body(r#"{"n":{"$inc":2},"deep":{"b":{"$delete":true},"c":3}}"#)
            .member("/data", json!({"n": 7, "deep": {"a": 1, "c": 3}})),
            answers("patch creates", "PATCH", "/api/v1/docs/posts/p2", 201)
                .body(r#"{"a":1}"#)
                .member("/data/a", 1),
            answers(
                "a projection",
                "GET",
                "/api/v1/docs/posts/p1?select=deep.a,`x,y`",
                200,
            )
            .member("/data", json!({"deep": {"a": 1}})),
            answers("delete deletes", "DELETE", "/api/v1/docs/posts/p1", 204),
            answers(
                "and again, though nothing is there",
                "DELETE",
                "/api/v1/docs/posts/p1",
                204,
            ),
            refuses("it is gone", "GET", "/api/v1/docs/posts/p1", 404, "not-found"),
            answers(
                "segments are percent-encoded",
                "PUT",
                "/api/v1/docs/a%20b/%C3%BC%3F",
                201,
            )
            .body("{}")
            .member("/path", "a b/ü?"),
            answers("a subcollection", "PUT", "/api/v1/docs/a%20b/x/c/d", 201)
                .body("{}")
                .member("/path", "a b/x/c/d"),
        ],
    )
    .await;
}

#[tokio::test]
async fn post_creates_with_an_id_of_the_servers_own_and_says_where() {
    let server = Server::start().await;
    let answer = server
        .send(Request::new("POST", "/api/v1/docs/a%20b/ü/posts").json(&json!({"n": 1})))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let document = answer.json();
    let id = document["id"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    assert_eq!(
        answer.header("location"),
        format!("/api/v1/docs/a%20b/%C3%BC/posts/{id}")
    );
    assert_eq!(
        answer.header("etag"),
        format!("\"{}\"", document["version"].as_str().unwrap())
    );
    let read = server.send(Request::get(answer.header("location"))).await;
    assert_eq!(read.json(), document);
    assert_eq!(read.header("etag"), answer.header("etag"));
    assert_eq!(read.header("cache-control"), "private, no-cache");
}
