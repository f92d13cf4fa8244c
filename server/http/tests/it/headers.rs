//! What every answer carries: request ids, and headers that keep browsers from harm.

use crate::client::Request;
use crate::server::Server;

#[tokio::test]
async fn every_answer_has_a_request_id_the_callers_own_if_it_is_sane() {
    let server = Server::start().await;
    let own = server
        .send(Request::get("/healthz").header("x-request-id", "job-17.A_b"))
        .await;
    assert_eq!(own.header("x-request-id"), "job-17.A_b");
    for insane in ["", "a b", "<script>", &"x".repeat(65), "ü"] {
        let answer = server
            .send(Request::get("/nowhere").header("x-request-id", insane))
            .await;
        let id = answer.header("x-request-id");
        assert!(id.len() == 16 && id != insane, "{insane}: {id}");
        assert_eq!(answer.json()["requestId"], id);
    }
    let first = server.send(Request::get("/healthz")).await;
    let second = server.send(Request::get("/healthz")).await;
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

#[tokio::test]
async fn every_answer_tells_browsers_to_do_nothing_with_it() {
    let server = Server::start().await;
    server
        .send(Request::new("PUT", "/api/v1/docs/posts/p1").body("{}"))
        .await;
    for request in [
        Request::get("/api/v1/docs/posts/p1"),
        Request::get("/api/v1/docs/posts"),
        Request::get("/api/v1/docs/posts").header("accept", "application/x-ndjson"),
        Request::get("/nowhere"),
        Request::get("/api/v1/openapi.json"),
        Request::new("DELETE", "/api/v1/docs/posts/p1"),
        Request::new("POST", "/healthz"),
        Request::get("/metrics"),
    ] {
        let answer = server.send(request.clone()).await;
        let target = &request.target;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{target}");
        }
        assert!(!answer.header("cache-control").is_empty(), "{target}");
        assert!(answer.headers.get("server").is_none() && answer.headers.get("x-powered-by").is_none());
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn head_answers_what_get_would_without_the_body() {
    let server = Server::start().await;
    server
        .send(
            Request::new("PUT", "/api/v1/docs/posts/p1").body(format!("{{\"a\":\"{}\"}}", "x".repeat(3000))),
        )
        .await;
    for target in [
        "/api/v1/docs/posts/p1",
        "/api/v1/docs/posts",
        "/healthz",
        "/nowhere",
        "/api/v1/docs",
    ] {
        let get = server.send(Request::get(target)).await;
        let head = server.send(Request::new("HEAD", target)).await;
        assert_eq!(head.status, get.status, "{target}");
        assert!(head.body.is_empty());
        assert_eq!(
            head.header("content-length"),
            get.body.len().to_string(),
            "{target}"
        );
        for name in ["content-type", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{target}: {name}");
        }
    }
}
