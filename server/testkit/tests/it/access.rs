//! Who gets in: every path, for callers of every kind.

use andiron_testkit::{Scenario, TestServer, check};

/// Every call of the API on documents, keys and collections, as an attacker without a key would try it.
const CALLS: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/docs/posts/p1", ""),
    ("GET", "/api/v1/docs/posts/p1?version=1", ""),
    ("GET", "/api/v1/docs/posts", ""),
    ("HEAD", "/api/v1/docs/posts/p1", ""),
    ("POST", "/api/v1/docs/posts", "{}"),
    ("PUT", "/api/v1/docs/posts/p1", "{}"),
    ("PATCH", "/api/v1/docs/posts/p1", "{}"),
    ("DELETE", "/api/v1/docs/posts/p1", ""),
    ("POST", "/api/v1/batch-get", r#"{"paths":["posts/p1"]}"#),
    ("POST", "/api/v1/query", r#"{"from":"posts"}"#),
    ("POST", "/api/v1/query?explain=true", r#"{"from":"posts"}"#),
    ("POST", "/api/v1/query", r#"{"from":{"group":"posts"}}"#),
    (
        "POST",
        "/api/v1/aggregate",
        r#"{"query":{"from":"posts"},"aggregates":{"n":["count"]}}"#,
    ),
    ("POST", "/api/v1/commit", r#"{"writes":[{"delete":"posts/p1"}]}"#),
    (
        "POST",
        "/api/v1/commit",
        r#"{"reads":[{"path":"posts/p1","version":null}],"writes":[]}"#,
    ),
    ("POST", "/api/v1/commit", "{}"),
    ("POST", "/api/v1/batch-get", r#"{"paths":[]}"#),
    ("GET", "/api/v1/collections", ""),
    ("GET", "/api/v1/collections?all=true", ""),
    ("GET", "/api/v1/collections/posts/p1", ""),
    ("GET", "/api/v1/admin/keys", ""),
    ("POST", "/api/v1/admin/keys", r#"{"name":"mine"}"#),
    ("DELETE", "/api/v1/admin/keys/first", ""),
    ("GET", "/api/v1/admin/info", ""),
    ("GET", "/api/v1/admin/indexes", ""),
    ("GET", "/metrics", ""),
];

fn refused<'s>(status: u16, code: &'s str) -> Vec<Scenario<'s>> {
    let scenario = |&(method, path, body): &(&'s str, &'s str, &'s str)| Scenario {
        name: "a call without rights",
        method,
        path,
        body,
        status,
        // An answer to HEAD has no body to tell it.
        code: if method == "HEAD" { "" } else { code },
        ..Scenario::EMPTY
    };
    CALLS.iter().map(scenario).collect()
}

#[tokio::test]
async fn nobody_in_particular_is_denied_everything() {
    let server = TestServer::start().await;
    server
        .api()
        .put("/api/v1/docs/posts/p1", &serde_json::json!({"a": 1}))
        .await
        .expect(201);
    check(&server.anonymous(), &refused(403, "permission-denied")).await;
    let left = server.api().get("/api/v1/docs/posts/p1").await.expect(200);
    assert_eq!(left.json()["data"]["a"], 1, "nothing has changed");
}

#[tokio::test]
async fn no_route_but_the_public_ones_does_anything_for_nobody() {
    const PUBLIC: &[&str] = &[
        "/healthz",
        "/readyz",
        "/api/v1/docs",
        "/api/v1/openapi.json",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ];
    // Signing up and in is for nobody in particular, and has tests of its own.
    const OF_ACCOUNTS: &str = "/api/v1/auth/";
    let server = TestServer::start().await;
    let api = server.anonymous();
    // The routes are those of the document that the server makes of them, so a new one cannot be forgotten here.
    let document = api.get("/api/v1/openapi.json").await.expect(200).json();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if path.starts_with(OF_ACCOUNTS) {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let Ok(method) = method.to_uppercase().parse::<http::Method>() else {
                continue;
            };
            if !["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"].contains(&method.as_str()) {
                continue;
            }
            let concrete: Vec<_> = path
                .split('/')
                .map(|segment| match segment {
                    "{document}" => "posts/p1",
                    "{collection}" => "posts",
                    variable if variable.starts_with('{') => "first",
                    fixed => fixed,
                })
                .collect();
            let concrete = concrete.join("/");
            let body = ["PUT", "POST", "PATCH"]
                .contains(&method.as_str())
                .then(|| "{}".to_owned());
            // Uploads are spoken to as their protocol wants it, and one of somebody else's is as if it were not there.
            let is_of_uploads = path.starts_with("/api/v1/uploads");
            let headers = [("tus-resumable", "1.0.0")];
            let headers = if is_of_uploads { &headers[..] } else { &[] };
            let answer = api.request(method.clone(), &concrete, headers, body).await;
            let is_public = PUBLIC.contains(&path.as_str());
            assert!(
                if is_public {
                    answer.status < 300
                } else if is_of_uploads {
                    [400, 403, 404, 415].contains(&answer.status)
                } else {
                    [400, 403].contains(&answer.status)
                },
                "{method} {path}: {} {}",
                answer.status,
                answer.text()
            );
            asked += 1;
        }
    }
    assert!(asked > 15, "the document has routes: {asked}");
}

#[tokio::test]
async fn a_key_that_does_not_verify_is_never_taken_for_nobody() {
    let server = TestServer::start().await;
    let key = server.key();
    let (kept, last) = key.split_at(key.len() - 1);
    let tampered = format!("{kept}{}", if last == "A" { "B" } else { "A" });
    for key in [
        "ak_x",
        "ak_",
        "x",
        &tampered,
        &key[..key.len() - 1],
        &format!("{key}A"),
    ] {
        check(
            &server.anonymous().with_key(key),
            &refused(401, "unauthenticated"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_the_next_request() {
    let server = TestServer::start().await;
    let made = server
        .api()
        .post("/api/v1/admin/keys", &serde_json::json!({"name": "short-lived"}))
        .await
        .expect(201)
        .json();
    let caller = server.anonymous().with_key(made["key"].as_str().unwrap());
    caller.get("/api/v1/docs/posts").await.expect(200);
    server
        .api()
        .delete("/api/v1/admin/keys/short-lived")
        .await
        .expect(200);
    check(&caller, &refused(401, "unauthenticated")).await;
}

#[tokio::test]
async fn what_belongs_to_the_owner_alone_is_not_on_the_network() {
    let server = TestServer::start().await;
    for path in ["/local/info", "/local/examination"] {
        server.api().get(path).await.expect_problem(404, "not-found");
        server
            .api()
            .post(path, &serde_json::json!({}))
            .await
            .expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn the_systems_own_collections_are_open_to_nobody() {
    let server = TestServer::start().await;
    let scenario = |method, path, body| Scenario {
        name: "a system collection",
        method,
        path,
        body,
        status: 403,
        code: "permission-denied",
        ..Scenario::EMPTY
    };
    check(
        &server.api(),
        &[
            scenario("GET", "/api/v1/docs/_keys", ""),
            scenario("GET", "/api/v1/docs/_server/started", ""),
            scenario("PUT", "/api/v1/docs/_keys/mine", "{}"),
            scenario("POST", "/api/v1/query", r#"{"from":{"group":"_keys"}}"#),
            scenario(
                "POST",
                "/api/v1/commit",
                r#"{"writes":[{"delete":"_server/started"}]}"#,
            ),
            scenario("POST", "/api/v1/batch-get", r#"{"paths":["_server/started"]}"#),
        ],
    )
    .await;
    let all = server.api().get("/api/v1/collections?all=true").await.expect(200);
    assert_eq!(all.json()["collections"], serde_json::json!([]));
}
