//! Commits and idempotency keys over HTTP.

use serde_json::json;

use crate::client::Request;
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

const COMMIT: &str = "/api/v1/commit";

#[tokio::test]
async fn a_commit_is_all_or_nothing_and_tells_what_transforms_gave() {
    let server = Server::start().await;
    let body = json!({"writes": [
        {"create": "posts/p1", "data": {"n": 1}},
        {"set": "posts/p2", "data": {"at": {"$now": true}}},
        {"merge": "posts/p3", "data": {"a": {"b": {"$inc": 8}}}},
        {"delete": "posts/p4"},
        {"verify": "posts/p5", "if": {"exists": false}},
    ]});
    let answer = server.send(Request::new("POST", COMMIT).json(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let committed = answer.json();
    let writes = committed["writes"].as_array().unwrap();
    assert_eq!(writes.len(), 5);
    assert!(
        writes
            .iter()
            .all(|write| write["version"] == committed["version"])
    );
    assert_eq!(
        writes[0],
        json!({"path": "posts/p1", "version": committed["version"], "results": {}})
    );
    assert!(writes[1]["results"]["at"]["$time"].is_string());
    assert_eq!(writes[2]["results"], json!({"a.b": 8}));
    run(
        &server,
        vec![
            refuses("one fails, all fail", "POST", COMMIT, 409, "already-exists")
                .body(r#"{"writes":[{"set":"posts/p9","data":{}},{"create":"posts/p1","data":{}}]}"#)
                .member("/path", "posts/p1"),
            refuses(
                "and nothing was written",
                "GET",
                "/api/v1/docs/posts/p9",
                404,
                "not-found",
            ),
            refuses("an update of nothing", "POST", COMMIT, 404, "not-found")
                .body(r#"{"writes":[{"update":"posts/p9","data":{"a":1}}]}"#)
                .member("/path", "posts/p9"),
            refuses(
                "an own condition is no HTTP precondition",
                "POST",
                COMMIT,
                400,
                "failed-precondition",
            )
            .body(r#"{"writes":[{"set":"posts/p1","data":{},"if":{"exists":false}}]}"#),
            refuses("what was read has changed", "POST", COMMIT, 409, "aborted")
                .body(r#"{"reads":[{"path":"posts/p1","version":null}],"writes":[]}"#)
                .member("/path", "posts/p1"),
            answers("an empty commit", "POST", COMMIT, 200)
                .body("{}")
                .member("/writes", json!([])),
            refuses("two kinds in one", "POST", COMMIT, 400, "invalid-argument")
                .body(r#"{"writes":[{"set":"a/b","delete":"a/b"}]}"#),
            refuses("a kind that is none", "POST", COMMIT, 400, "invalid-argument")
                .body(r#"{"writes":[{"upsert":"a/b","data":{}}]}"#)
                .contains("upsert"),
            refuses(
                "parameters",
                "POST",
                "/api/v1/commit?dry=1",
                400,
                "invalid-argument",
            )
            .body("{}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_retry_with_the_same_idempotency_key_gets_the_first_answer() {
    let server = Server::start().await;
    let with_key =
        |method: &str, url: &str| Request::new(method, url).header("idempotency-key", &format!("{method}-1"));
    for (method, url, body) in [
        (
            "POST",
            COMMIT,
            r#"{"writes":[{"merge":"a/commit","data":{"n":{"$inc":1}}}]}"#,
        ),
        ("POST", "/api/v1/docs/posts", r#"{"n":1}"#),
        ("PUT", "/api/v1/docs/a/put", r#"{"n":{"$inc":1}}"#),
        ("PATCH", "/api/v1/docs/a/patch", r#"{"n":{"$inc":1}}"#),
        ("DELETE", "/api/v1/docs/a/put", ""),
    ] {
        let request = with_key(method, url).header("idempotency-key", "").body(body);
        let twice = server.send(request).await;
        assert_eq!(
            twice.json()["field"],
            "Idempotency-Key",
            "two keys are one too many"
        );
        let key = format!("{method}-{}", url.len());
        let request = Request::new(method, url)
            .header("idempotency-key", &key)
            .body(body);
        let first = server.send(request.clone()).await;
        assert!(first.status.is_success(), "{method} {url}: {}", first.text());
        let again = server.send(request.clone()).await;
        assert_eq!(
            (again.status, again.text()),
            (first.status, first.text()),
            "{method} {url}"
        );
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(again.header("location"), first.header("location"));
        if !body.is_empty() {
            let other = server.send(request.body(r#"{"n":77}"#)).await;
            assert_eq!(
                other.code(),
                "invalid-argument",
                "the key belongs to another request"
            );
        }
    }
    assert_eq!(
        server.send(Request::get("/api/v1/docs/a/patch")).await.json()["data"]["n"],
        1
    );
    let posts = server.send(Request::get("/api/v1/docs/posts")).await.json();
    assert_eq!(posts["documents"].as_array().unwrap().len(), 1);
    run(
        &server,
        vec![
            refuses("an empty key", "PUT", "/api/v1/docs/a/b", 400, "invalid-argument")
                .header("idempotency-key", "")
                .body("{}"),
            refuses(
                "a key too long",
                "DELETE",
                "/api/v1/docs/a/b",
                400,
                "invalid-argument",
            )
            .header("idempotency-key", &"k".repeat(65))
            .member("/field", "Idempotency-Key"),
            refuses(
                "a key that is not ASCII",
                "DELETE",
                "/api/v1/docs/a/b",
                400,
                "invalid-argument",
            )
            .header("idempotency-key", "ü"),
        ],
    )
    .await;
}
