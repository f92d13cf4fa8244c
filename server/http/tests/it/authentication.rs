//! Who may come in, and that nobody else may: over every route that there is.

use crate::client::Request;
use crate::scenario::{refuses, run};
use crate::server::Server;

/// Calls that anybody may make.
const OPEN: [&str; 6] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/api/v1/docs",
    "/api/v1/openapi.json",
    "/healthz",
    "/readyz",
];
/// Calls of people about their own accounts, which have tests of their own.
const OF_ACCOUNTS: &str = "/api/v1/auth/";
/// Calls in the protocol of resumable uploads, which has its own headers and its own tests.
const OF_UPLOADS: &str = "/api/v1/uploads";
/// What has no end, or is asked for in other ways; its own tests try it.
const OF_LISTENS: [&str; 3] = ["/api/v1/listen", "/api/v1/listen/tickets", "/api/v1/live"];

/// Every method and path of the document, which is made from the router.
fn operations() -> Vec<(String, String)> {
    let document: serde_json::Value = serde_json::from_str(&andiron_http::openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let is_method = ["get", "post", "put", "patch", "delete"].contains(&method.as_str());
            let is_elsewhere = path.starts_with(OF_ACCOUNTS) || path.starts_with(OF_UPLOADS);
            if is_method && !is_elsewhere && !OF_LISTENS.contains(&path.as_str()) {
                operations.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(operations.len() >= 15, "{operations:?}");
    operations
}

/// The body that the document shows for an operation.
fn example_of(method: &str, path: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(&andiron_http::openapi_json()).unwrap();
    let operation = &document["paths"][path][method.to_lowercase()];
    operation["requestBody"]["content"]["application/json"]["example"].to_string()
}

/// A request to an operation that would be fine but for who sends it.
fn valid_request(method: &str, path: &str) -> Request {
    let target = match (method, path) {
        ("POST", "/api/v1/docs/{path}") => "/api/v1/docs/posts".to_owned(),
        _ => path
            .replace("{path}", "posts/p1")
            .replace("{bucket}", "main")
            .replace("{name}", "a/b.txt")
            .replace("{key}", "test")
            .replace("{uid}", "u1")
            .replace("{revision}", "1"),
    };
    let example;
    let body = match path {
        _ if path.starts_with("/api/v1/admin/rules") => {
            example = example_of(method, path);
            &example
        }
        "/api/v1/files/{bucket}/{name}" if method == "POST" => r#"{"copy":{"to":"main/copy.txt"}}"#,
        "/api/v1/files/{bucket}" => r#"{"delete":["gone.txt"]}"#,
        "/api/v1/batch-get" => r#"{"paths":["posts/p1"]}"#,
        "/api/v1/query" => r#"{"from":"posts"}"#,
        "/api/v1/aggregate" => r#"{"query":{"from":"posts"},"aggregates":{"n":["count"]}}"#,
        "/api/v1/commit" => r#"{"writes":[{"set":"posts/p1","data":{}}]}"#,
        "/api/v1/admin/keys" => r#"{"name":"mine"}"#,
        "/api/v1/admin/accounts/{uid}/claims" => r#"{"claims":{}}"#,
        "/api/v1/admin/invitations" => r#"{"email":"grace@example.org"}"#,
        "/api/v1/admin/custom-tokens" => r#"{"uid":"u2"}"#,
        _ => "{}",
    };
    let request = Request::new(method, &target);
    if matches!(method, "GET" | "DELETE") {
        request
    } else {
        request.body(body.to_owned())
    }
}

#[tokio::test]
async fn nobody_in_particular_may_do_nothing_in_particular() {
    let server = Server::start().await;
    for (method, path) in operations() {
        let is_open = OPEN.contains(&path.as_str());
        for method in if method == "GET" {
            vec!["GET", "HEAD"]
        } else {
            vec![method.as_str()]
        } {
            let answer = server.send_as_it_is(valid_request(method, &path)).await;
            let expected = if is_open { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text());
            if !is_open && method != "HEAD" {
                assert_eq!(answer.code(), "permission-denied");
            }
        }
    }
    assert_eq!(
        server.send(Request::get("/api/v1/docs/posts/p1")).await.status,
        404,
        "and nothing was done"
    );
}

#[tokio::test]
async fn whoever_has_a_key_may_call_every_operation() {
    let server = Server::start().await;
    server
        .send(Request::new("PUT", "/api/v1/docs/posts/p1").body("{}"))
        .await;
    server
        .send(Request::new("POST", "/api/v1/admin/accounts").body(r#"{"uid":"u1"}"#))
        .await;
    server.send(valid_request("PUT", "/api/v1/admin/rules")).await;
    server
        .send(Request::new("PUT", "/api/v1/files/main/a/b.txt").body("x"))
        .await;
    let mut operations = operations();
    // Those that take away what others need come last.
    operations.sort_by_key(|(method, path)| (method == "DELETE", path.contains("keys")));
    // Those need a way for mails, and have tests of their own.
    operations.retain(|(_, path)| !path.ends_with("/mailbox") && !path.ends_with("/test-mail"));
    for (method, path) in operations {
        let answer = server.send(valid_request(&method, &path)).await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

#[tokio::test]
async fn credentials_that_do_not_verify_are_401_everywhere_and_never_anonymous() {
    let server = Server::start().await;
    let good = server.key.clone();
    let headers = [
        "Bearer ak_01hzzzzzzzzzzzzzzzzzzzzzzz_c2VjcmV0".to_owned(),
        format!("Bearer {good}x"),
        format!("Bearer {}", &good[..good.len() - 1]),
        format!("Bearer {good} {good}"),
        format!("Basic {good}"),
        format!("Token {good}"),
        good.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        String::new(),
        "\u{fc}".to_owned(),
    ];
    for value in headers {
        for target in ["/api/v1/docs/posts/p1", "/healthz", "/nowhere", "/api/v1/docs"] {
            let answer = server
                .send_as_it_is(Request::get(target).header("authorization", &value))
                .await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (401, "unauthenticated"),
                "{value} {target}"
            );
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert!(
                !answer.text().contains(&good[20..]),
                "the answer repeats a credential"
            );
        }
    }
    let two = Request::get("/healthz")
        .header("authorization", &format!("Bearer {good}"))
        .header("authorization", &format!("Bearer {good}"));
    assert_eq!(server.send_as_it_is(two).await.status, 401);
    let other_case = Request::get("/api/v1/collections").header("authorization", &format!("bEARER {good}"));
    assert_eq!(
        server.send_as_it_is(other_case).await.status,
        200,
        "schemes are case-insensitive"
    );
}

#[tokio::test]
async fn a_token_in_the_url_opens_nothing_and_is_not_repeated() {
    let server = Server::start().await;
    for name in ["access_token", "token", "key", "authorization"] {
        let target = format!("/api/v1/docs/posts/p1?{name}={}", server.key);
        let answer = server.send_as_it_is(Request::get(&target)).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains(&server.key));
    }
}

#[tokio::test]
async fn the_owner_needs_no_credentials_on_the_local_router() {
    let server = Server::serving(Default::default(), andiron_http::local_router).await;
    let answer = server
        .send_as_it_is(Request::new("PUT", "/api/v1/docs/posts/p1").body("{}"))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(
        server
            .send_as_it_is(Request::get("/api/v1/admin/keys"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn system_collections_are_closed_to_administrators_too() {
    let server = Server::start().await;
    let mut table = vec![
        refuses("get", "GET", "/api/v1/docs/_keys/test", 403, "permission-denied"),
        refuses("list", "GET", "/api/v1/docs/_keys", 403, "permission-denied"),
        refuses("put", "PUT", "/api/v1/docs/_keys/x", 403, "permission-denied").body("{}"),
        refuses("create", "POST", "/api/v1/docs/_keys", 403, "permission-denied").body("{}"),
        refuses(
            "delete",
            "DELETE",
            "/api/v1/docs/_keys/x",
            403,
            "permission-denied",
        ),
        refuses(
            "encoded",
            "GET",
            "/api/v1/docs/%5Fkeys/x",
            403,
            "permission-denied",
        ),
        refuses("nested", "GET", "/api/v1/docs/a/b/_c/d", 403, "permission-denied"),
    ];
    for (target, body) in [
        ("/api/v1/query", r#"{"from":"_keys"}"#),
        ("/api/v1/query", r#"{"from":{"group":"_keys"}}"#),
        (
            "/api/v1/aggregate",
            r#"{"query":{"from":"_keys"},"aggregates":{"n":["count"]}}"#,
        ),
        ("/api/v1/batch-get", r#"{"paths":["posts/p1","_keys/x"]}"#),
        (
            "/api/v1/commit",
            r#"{"writes":[{"set":"posts/p1","data":{}},{"delete":"_keys/x"}]}"#,
        ),
        (
            "/api/v1/commit",
            r#"{"reads":[{"path":"_keys/x","version":null}]}"#,
        ),
        (
            "/api/v1/commit",
            r#"{"queries":[{"query":{"from":"_keys"},"version":"1"}]}"#,
        ),
    ] {
        table.push(refuses("in a body", "POST", target, 403, "permission-denied").body(body));
    }
    table.push(refuses(
        "and nothing was written",
        "GET",
        "/api/v1/docs/posts/p1",
        404,
        "not-found",
    ));
    run(&server, table).await;
}
