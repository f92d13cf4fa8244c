//! `If-Match` and `If-None-Match`, on every method.

use serde_json::json;

use crate::client::{Answer, Client, Request};
use crate::server::Server;

const URL: &str = "/api/v1/docs/posts/p1";

/// Puts the document and gives its tag.
async fn put(server: &Server, n: i32) -> String {
    let answer = server.send(Request::new("PUT", URL).json(&json!({"n": n}))).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    answer.header("etag").to_owned()
}

async fn conditional(server: &Server, method: &str, header: &str, value: &str) -> Answer {
    let request = Request::new(method, URL).header(header, value);
    let has_body = matches!(method, "PUT" | "PATCH");
    server
        .send(if has_body {
            request.json(&json!({"n": 0}))
        } else {
            request
        })
        .await
}

fn assert_412(answer: &Answer) {
    assert_eq!(answer.status, 412, "{}", answer.text());
    assert_eq!(answer.code(), "failed-precondition");
    assert_eq!(answer.json()["path"], "posts/p1");
}

#[tokio::test]
async fn a_reader_that_has_the_version_gets_304_without_a_body() {
    let server = Server::start().await;
    let old = put(&server, 1).await;
    let tag = put(&server, 2).await;
    for value in [
        tag.clone(),
        format!("W/{tag}"),
        format!("{old}, {tag}"),
        "*".to_owned(),
    ] {
        let answer = conditional(&server, "GET", "if-none-match", &value).await;
        assert_eq!(answer.status, 304, "{value}");
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), tag);
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    assert_eq!(
        conditional(&server, "HEAD", "if-none-match", &tag).await.status,
        304
    );
    assert_eq!(
        conditional(&server, "GET", "if-none-match", &old).await.json()["data"]["n"],
        2
    );
    assert_eq!(conditional(&server, "GET", "if-match", &tag).await.status, 200);
    assert_412(&conditional(&server, "GET", "if-match", &old).await);
    assert_412(&conditional(&server, "GET", "if-match", &format!("W/{tag}")).await);
}

#[tokio::test]
async fn conditions_do_not_matter_where_there_is_nothing() {
    let server = Server::start().await;
    for (header, value) in [("if-none-match", "*"), ("if-match", "*"), ("if-match", "\"5\"")] {
        let answer = conditional(&server, "GET", header, value).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (404, "not-found"),
            "{header}: {value}"
        );
    }
}

#[tokio::test]
async fn put_with_if_none_match_star_creates_only() {
    let server = Server::start().await;
    assert_eq!(
        conditional(&server, "PUT", "if-none-match", "*").await.status,
        201
    );
    let again = conditional(&server, "PUT", "if-none-match", "*").await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (409, "already-exists")
    );
    assert_412(&conditional(&server, "PATCH", "if-none-match", "*").await);
    assert_412(&conditional(&server, "DELETE", "if-none-match", "*").await);
}

#[tokio::test]
async fn writes_with_if_match_change_only_that_version() {
    let server = Server::start().await;
    for method in ["PUT", "PATCH", "DELETE"] {
        assert_412(&conditional(&server, method, "if-match", "*").await);
        assert_412(&conditional(&server, method, "if-match", "\"5\"").await);
        let old = put(&server, 1).await;
        let tag = put(&server, 2).await;
        for value in [
            old.clone(),
            format!("W/{tag}"),
            "\"x\"".to_owned(),
            format!("{old}, W/{tag}"),
        ] {
            assert_412(&conditional(&server, method, "if-match", &value).await);
        }
        assert_eq!(
            server.send(Request::get(URL)).await.json()["data"]["n"],
            2,
            "{method} changed nothing"
        );
        assert!(
            conditional(&server, method, "if-match", &tag)
                .await
                .status
                .is_success(),
            "{method}"
        );
        let tag = put(&server, 3).await;
        assert!(
            conditional(&server, method, "if-match", &format!("\"5\", {tag}"))
                .await
                .status
                .is_success()
        );
        put(&server, 4).await;
        assert!(
            conditional(&server, method, "if-match", "*")
                .await
                .status
                .is_success()
        );
        server.send(Request::new("DELETE", URL)).await;
    }
}

#[tokio::test]
async fn a_write_with_if_none_match_of_a_version_changes_any_other() {
    let server = Server::start().await;
    let tag = put(&server, 1).await;
    for method in ["PUT", "PATCH", "DELETE"] {
        assert_412(&conditional(&server, method, "if-none-match", &tag).await);
        assert_412(&conditional(&server, method, "if-none-match", &format!("\"5\", W/{tag}")).await);
    }
    assert_eq!(
        conditional(&server, "PATCH", "if-none-match", "\"5\"")
            .await
            .status,
        200
    );
    server.send(Request::new("DELETE", URL)).await;
    assert_eq!(
        conditional(&server, "PUT", "if-none-match", &tag).await.status,
        201
    );
}

#[tokio::test]
async fn conditions_that_mean_nothing_are_refused() {
    let server = Server::start().await;
    for (method, url, header, value, field) in [
        ("GET", URL, "if-match", "5", "If-Match"),
        ("PUT", URL, "if-match", "\"5\" x", "If-Match"),
        ("DELETE", URL, "if-none-match", "W/*", "If-None-Match"),
        ("GET", URL, "if-none-match", "", "If-None-Match"),
    ] {
        let answer = server
            .send(Request::new(method, url).header(header, value).body("{}"))
            .await;
        assert_eq!(answer.status, 400, "{header}: {value}");
        assert_eq!(answer.json()["field"], field);
    }
    let post = Request::new("POST", "/api/v1/docs/posts")
        .header("if-none-match", "*")
        .body("{}");
    assert_eq!(server.send(post).await.code(), "invalid-argument");
    let both = Request::new("PUT", URL)
        .header("if-match", "\"1\", \"2\"")
        .header("idempotency-key", "k")
        .body("{}");
    assert_eq!(server.send(both).await.code(), "invalid-argument");
}

#[tokio::test]
async fn examined_conditions_let_exactly_one_of_many_through() {
    let server = Server::start().await;
    let tag = put(&server, 0).await;
    let several = format!("\"5\", {tag}");
    let request = Request::new("PUT", URL)
        .header("if-match", &several)
        .json(&json!({"n": 1}));
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut client = Client::connect(server.address).await;
        let request = request
            .clone()
            .header("authorization", &format!("Bearer {}", server.key));
        answers.spawn(async move { client.send(request).await.status.as_u16() });
    }
    let mut statuses = answers.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![412; 15]].concat());
}
