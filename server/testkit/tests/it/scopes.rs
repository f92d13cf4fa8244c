//! What a service key may do: every operation of the API with a key of every scope.
//!
//! The operations are those of the document that the router makes of itself. One that stands neither in the table nor
//! under what is for nobody's keys fails the test: whoever adds a route says here which scope it takes.

use std::collections::BTreeSet;

use andiron_testkit::{Answer, Api, TestServer};
use http::Method;
use serde_json::{Value, json};

/// Every scope there is, but for that which is for everything.
const SCOPES: [&str; 14] = [
    "documents:read",
    "documents:write",
    "changes:read",
    "files:read",
    "files:write",
    "accounts:read",
    "accounts:write",
    "claims:write",
    "tokens:mint",
    "accounts:impersonate",
    "rules:read",
    "rules:write",
    "audit:read",
    "server:read",
];

/// No scope grants it: it takes a key for everything.
const NO_SCOPE: &[&str] = &[];
const READS_DOCUMENTS: &[&str] = &["documents:read", "documents:write"];
const WRITES_DOCUMENTS: &[&str] = &["documents:write"];
const READS_FILES: &[&str] = &["files:read", "files:write"];
const WRITES_FILES: &[&str] = &["files:write"];
const READS_ACCOUNTS: &[&str] = &["accounts:read", "accounts:write"];
const WRITES_ACCOUNTS: &[&str] = &["accounts:write"];
const READS_RULES: &[&str] = &["rules:read", "rules:write"];
const WRITES_RULES: &[&str] = &["rules:write"];

/// Method and route as the document has them, what is sent there, and which scopes let it pass.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const DOCUMENT: &str = "/api/v1/docs/{path}";
const FILE: &str = "/api/v1/files/{bucket}/{name}";
const ACCOUNT: &str = "/api/v1/admin/accounts/{uid}";
const EVENTS: &str = "/api/v1/listen?from=posts";

#[rustfmt::skip]
const OPERATIONS: &[Row] = &[
    ("GET", DOCUMENT, "/api/v1/docs/posts/p1", "", READS_DOCUMENTS),
    ("GET", DOCUMENT, "/api/v1/docs/posts", "", READS_DOCUMENTS),
    ("GET", DOCUMENT, "/api/v1/docs/posts?explain=true", "", NO_SCOPE),
    ("PUT", DOCUMENT, "/api/v1/docs/posts/p1", "{}", WRITES_DOCUMENTS),
    ("PATCH", DOCUMENT, "/api/v1/docs/posts/p1", "{}", WRITES_DOCUMENTS),
    ("POST", DOCUMENT, "/api/v1/docs/posts", "{}", WRITES_DOCUMENTS),
    ("DELETE", DOCUMENT, "/api/v1/docs/posts/p2", "", WRITES_DOCUMENTS),
    ("POST", "/api/v1/batch-get", "/api/v1/batch-get", r#"{"paths":["posts/p1"]}"#, READS_DOCUMENTS),
    ("POST", "/api/v1/query", "/api/v1/query", r#"{"from":"posts"}"#, READS_DOCUMENTS),
    ("POST", "/api/v1/query", "/api/v1/query", r#"{"from":{"group":"posts"}}"#, READS_DOCUMENTS),
    ("POST", "/api/v1/aggregate", "/api/v1/aggregate", r#"{"query":{"from":"posts"},"aggregates":{"n":["count"]}}"#, READS_DOCUMENTS),
    ("POST", "/api/v1/commit", "/api/v1/commit", r#"{"writes":[{"set":"posts/p3","data":{}}]}"#, WRITES_DOCUMENTS),
    ("POST", "/api/v1/commit", "/api/v1/commit", r#"{"reads":[{"path":"posts/none","version":null}],"writes":[]}"#, READS_DOCUMENTS),
    ("POST", "/api/v1/commit", "/api/v1/commit", r#"{"writes":[]}"#, NO_SCOPE),
    ("GET", "/api/v1/collections", "/api/v1/collections", "", READS_DOCUMENTS),
    ("GET", "/api/v1/collections/{path}", "/api/v1/collections/posts/p1", "", READS_DOCUMENTS),
    ("GET", "/api/v1/listen", EVENTS, "", READS_DOCUMENTS),
    ("GET", "/api/v1/changes", "/api/v1/changes?after=0&wait=0", "", &["changes:read"]),
    ("GET", "/api/v1/changes", "/api/v1/changes?after=0&wait=0&collections=posts", "", &["changes:read"]),
    ("GET", "/api/v1/changes", "/api/v1/changes?after=0&wait=0&groups=posts", "", &["changes:read"]),
    ("GET", FILE, "/api/v1/files/main/a.txt", "", READS_FILES),
    ("GET", "/api/v1/files/{bucket}", "/api/v1/files/main", "", READS_FILES),
    ("PUT", FILE, "/api/v1/files/main/a.txt", "text", WRITES_FILES),
    ("PATCH", FILE, "/api/v1/files/main/a.txt", r#"{"metadata":{}}"#, WRITES_FILES),
    ("DELETE", FILE, "/api/v1/files/main/b.txt", "", WRITES_FILES),
    ("POST", FILE, "/api/v1/files/main/kept.txt", r#"{"copy":{"to":"main/copy.txt"}}"#, WRITES_FILES),
    ("POST", "/api/v1/files/{bucket}", "/api/v1/files/main", r#"{"delete":["copy.txt"]}"#, WRITES_FILES),
    ("DELETE", "/api/v1/admin/file-links", "/api/v1/admin/file-links", "", NO_SCOPE),
    ("GET", "/api/v1/admin/buckets", "/api/v1/admin/buckets", "", &["server:read"]),
    ("PUT", "/api/v1/admin/buckets/{bucket}", "/api/v1/admin/buckets/new", "{}", NO_SCOPE),
    ("DELETE", "/api/v1/admin/buckets/{bucket}", "/api/v1/admin/buckets/none", "", NO_SCOPE),
    ("GET", "/api/v1/admin/accounts", "/api/v1/admin/accounts", "", READS_ACCOUNTS),
    ("POST", "/api/v1/admin/accounts", "/api/v1/admin/accounts", "{}", WRITES_ACCOUNTS),
    ("GET", ACCOUNT, "/api/v1/admin/accounts/ada", "", READS_ACCOUNTS),
    ("PATCH", ACCOUNT, "/api/v1/admin/accounts/ada", r#"{"profile":{"name":"Ada"}}"#, WRITES_ACCOUNTS),
    ("DELETE", ACCOUNT, "/api/v1/admin/accounts/nobody", "", WRITES_ACCOUNTS),
    ("PUT", "/api/v1/admin/accounts/{uid}/claims", "/api/v1/admin/accounts/ada/claims", r#"{"claims":{}}"#, &["claims:write"]),
    ("GET", "/api/v1/admin/accounts/{uid}/sessions", "/api/v1/admin/accounts/ada/sessions", "", READS_ACCOUNTS),
    ("POST", "/api/v1/admin/accounts/{uid}/sign-out", "/api/v1/admin/accounts/ada/sign-out", "{}", WRITES_ACCOUNTS),
    ("POST", "/api/v1/admin/accounts/{uid}/impersonate", "/api/v1/admin/accounts/ada/impersonate", "{}", &["accounts:impersonate"]),
    ("POST", "/api/v1/admin/invitations", "/api/v1/admin/invitations", r#"{"email":"eve@x.example"}"#, WRITES_ACCOUNTS),
    ("POST", "/api/v1/admin/custom-tokens", "/api/v1/admin/custom-tokens", r#"{"uid":"ada"}"#, &["tokens:mint"]),
    ("GET", "/api/v1/admin/signing-keys", "/api/v1/admin/signing-keys", "", &["server:read"]),
    ("POST", "/api/v1/admin/signing-keys", "/api/v1/admin/signing-keys", "{}", NO_SCOPE),
    ("GET", "/api/v1/admin/audit", "/api/v1/admin/audit", "", &["audit:read"]),
    ("GET", "/api/v1/admin/mailbox", "/api/v1/admin/mailbox", "", NO_SCOPE),
    ("POST", "/api/v1/admin/test-mail", "/api/v1/admin/test-mail", r#"{"email":"ada@x.example"}"#, NO_SCOPE),
    ("GET", "/api/v1/admin/keys", "/api/v1/admin/keys", "", NO_SCOPE),
    ("POST", "/api/v1/admin/keys", "/api/v1/admin/keys", r#"{"name":"more"}"#, NO_SCOPE),
    ("DELETE", "/api/v1/admin/keys/{key}", "/api/v1/admin/keys/none", "", NO_SCOPE),
    ("GET", "/api/v1/admin/indexes", "/api/v1/admin/indexes", "", &["server:read"]),
    ("GET", "/api/v1/admin/info", "/api/v1/admin/info", "", &["server:read"]),
    ("GET", "/metrics", "/metrics", "", &["server:read"]),
    ("GET", "/api/v1/admin/rules", "/api/v1/admin/rules", "", READS_RULES),
    ("PUT", "/api/v1/admin/rules", "/api/v1/admin/rules", r#"{"files":[]}"#, WRITES_RULES),
    ("POST", "/api/v1/admin/rules/check", "/api/v1/admin/rules/check", r#"{"files":[]}"#, READS_RULES),
    ("POST", "/api/v1/admin/rules/test", "/api/v1/admin/rules/test", r#"{"tests":[]}"#, READS_RULES),
    ("POST", "/api/v1/admin/rules/explain", "/api/v1/admin/rules/explain", "[]", READS_RULES),
    ("POST", "/api/v1/admin/rules/rollback", "/api/v1/admin/rules/rollback", r#"{"revision":99}"#, WRITES_RULES),
    ("GET", "/api/v1/admin/rules/revisions", "/api/v1/admin/rules/revisions", "", READS_RULES),
    ("GET", "/api/v1/admin/rules/revisions/{revision}", "/api/v1/admin/rules/revisions/1", "", READS_RULES),
    ("GET", "/api/v1/admin/rules/revisions/{revision}/diff", "/api/v1/admin/rules/revisions/1/diff", "", READS_RULES),
];

/// What is for everybody, or for people alone. A socket and a ticket let on whoever may listen, and tell nothing by themselves.
/// Uploads in several requests are tried by a test of their own.
const OF_NO_KEYS: [&str; 9] = [
    "/.well-known/",
    "/api/v1/auth/",
    "/api/v1/docs",
    "/api/v1/listen/tickets",
    "/api/v1/live",
    "/api/v1/openapi.json",
    "/healthz",
    "/readyz",
    "/api/v1/uploads",
];

async fn key_with(server: &TestServer, scopes: &[&str]) -> Api {
    let name = scopes.join("-").replace([':', '*', '/'], ".");
    let name: String = name.chars().take(64).collect();
    let body = json!({"name": name, "scopes": scopes});
    let made = server
        .api()
        .post("/api/v1/admin/keys", &body)
        .await
        .expect(201)
        .json();
    assert_eq!(made["scopes"], json!(scopes));
    server.anonymous().with_key(made["key"].as_str().unwrap())
}

async fn send(api: &Api, (method, _, target, body, _): &Row) -> Answer {
    let body = (!body.is_empty()).then(|| (*body).to_owned());
    let kind = if target.starts_with("/api/v1/files") && *method == "PUT" {
        "text/plain"
    } else {
        "application/json"
    };
    let headers: &[_] = if body.is_some() {
        &[("content-type", kind)]
    } else {
        &[]
    };
    api.request(method.parse::<Method>().unwrap(), target, headers, body)
        .await
}

fn is_out_of_scope(answer: &Answer) -> bool {
    answer.status == 403 && answer.text().contains("has no scope")
}

#[tokio::test]
async fn a_key_does_what_its_scope_names_and_nothing_else() {
    let server = TestServer::start().await;
    let api = server.api();
    api.put("/api/v1/docs/posts/p1", &json!({})).await.expect(201);
    let kept = ("PUT", "", "/api/v1/files/main/kept.txt", "text", NO_SCOPE);
    send(&api, &kept).await.expect(201);
    api.post("/api/v1/admin/accounts", &json!({"uid": "ada"}))
        .await
        .expect(201);
    let mut wrong = Vec::new();
    for scope in SCOPES {
        let key = key_with(&server, &[scope]).await;
        for row in OPERATIONS {
            let answer = send(&key, row).await;
            let is_granted = row.4.contains(&scope);
            let is_as_expected = match is_granted {
                true => answer.status != 403 && answer.status != 401 && answer.status < 500,
                false => is_out_of_scope(&answer),
            };
            if !is_as_expected {
                wrong.push(format!(
                    "{scope}: {} {}: {} {}",
                    row.0,
                    row.2,
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What none of them may, a key for everything may, by that name or by having no scopes.
    for key in [key_with(&server, &["admin:*"]).await, server.api()] {
        for row in OPERATIONS {
            let answer = send(&key, row).await;
            assert!(!matches!(answer.status, 401 | 403), "{} {}", row.0, row.2);
        }
    }
}

#[tokio::test]
async fn an_upload_in_several_requests_takes_the_scope_to_write_files() {
    let server = TestServer::start().await;
    let protocol = ("tus-resumable", "1.0.0");
    let create = async |key: &Api| {
        // A bucket `main` and a name `a.txt`.
        let headers = [
            protocol,
            ("upload-length", "3"),
            ("upload-metadata", "bucket bWFpbg==,name YS50eHQ="),
        ];
        key.request(Method::POST, "/api/v1/uploads", &headers, None).await
    };
    let everything = create(&server.api()).await.expect(201);
    let upload = everything.header("location").unwrap().to_owned();
    let part = [
        protocol,
        ("upload-offset", "0"),
        ("content-type", "application/offset+octet-stream"),
    ];
    for scope in SCOPES {
        let key = key_with(&server, &[scope]).await;
        let created = create(&key).await;
        if scope == "files:write" {
            let own = created.expect(201).header("location").unwrap().to_owned();
            let sent = key
                .request(Method::PATCH, &own, &part, Some("abc".to_owned()))
                .await;
            assert_eq!(sent.status, 204, "{}", sent.text());
            continue;
        }
        assert!(is_out_of_scope(&created), "{scope}: {}", created.text());
        for method in [Method::HEAD, Method::PATCH, Method::DELETE] {
            let body = (method == Method::PATCH).then(|| "abc".to_owned());
            let answer = key.request(method.clone(), &upload, &part, body).await;
            assert!(
                matches!(answer.status, 403 | 404),
                "{scope}: {method}: {}",
                answer.status
            );
        }
    }
    let kept = server
        .api()
        .request(Method::HEAD, &upload, &[protocol], None)
        .await;
    assert_eq!(kept.expect(200).header("upload-offset"), Some("0"));
}

#[tokio::test]
async fn every_operation_says_which_scope_it_takes() {
    let server = TestServer::start().await;
    let document = server
        .anonymous()
        .get("/api/v1/openapi.json")
        .await
        .expect(200)
        .json();
    let known: BTreeSet<(String, String)> = OPERATIONS
        .iter()
        .map(|row| (row.0.to_owned(), row.1.to_owned()))
        .collect();
    let mut missing = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let operation = (method.to_uppercase(), path.clone());
            let is_of_no_key = OF_NO_KEYS.iter().any(|prefix| path.starts_with(prefix)) && path != DOCUMENT;
            if !known.contains(&operation) && !is_of_no_key {
                missing.push(operation);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in the table, say which scope they take: {missing:?}"
    );
}

#[tokio::test]
async fn a_scope_of_a_collection_ends_where_the_collection_does() {
    let server = TestServer::start().await;
    let api = server.api();
    for path in ["posts/p1", "posts/p1/comments/c1", "users/u1", "postscripts/x"] {
        api.put(&format!("/api/v1/docs/{path}"), &json!({"n": 1}))
            .await
            .expect(201);
    }
    let key = key_with(
        &server,
        &["documents:read:posts", "documents:write:posts/p1/comments"],
    )
    .await;
    for (method, target, body, is_granted) in [
        ("GET", "/api/v1/docs/posts/p1", "", true),
        ("GET", "/api/v1/docs/posts/p1/comments", "", true),
        ("GET", "/api/v1/docs/posts/p1?version=1", "", true),
        ("GET", "/api/v1/docs/postscripts/x", "", false),
        ("GET", "/api/v1/docs/users", "", false),
        ("GET", "/api/v1/docs/users/none", "", false),
        ("PUT", "/api/v1/docs/posts/p1", "{}", false),
        ("PUT", "/api/v1/docs/posts/p1/comments/c2", "{}", true),
        (
            "PATCH",
            "/api/v1/docs/posts/p1/comments/c1",
            r#"{"n":{"$inc":1}}"#,
            true,
        ),
        ("DELETE", "/api/v1/docs/users/u1", "", false),
        ("POST", "/api/v1/batch-get", r#"{"paths":["posts/p1"]}"#, true),
        (
            "POST",
            "/api/v1/batch-get",
            r#"{"paths":["posts/p1","users/u1"]}"#,
            false,
        ),
        ("POST", "/api/v1/query", r#"{"from":"posts"}"#, true),
        ("POST", "/api/v1/query", r#"{"from":{"group":"comments"}}"#, false),
        ("POST", "/api/v1/query?explain=true", r#"{"from":"posts"}"#, false),
        (
            "POST",
            "/api/v1/aggregate",
            r#"{"query":{"from":"users"},"aggregates":{"n":["count"]}}"#,
            false,
        ),
        (
            "POST",
            "/api/v1/commit",
            r#"{"writes":[{"set":"posts/p1/comments/c3","data":{}},{"set":"posts/p2","data":{}}]}"#,
            false,
        ),
        (
            "POST",
            "/api/v1/commit",
            r#"{"reads":[{"path":"users/u1","version":null}],"writes":[{"set":"posts/p1/comments/c3","data":{}}]}"#,
            false,
        ),
        (
            "POST",
            "/api/v1/commit",
            r#"{"queries":[{"query":{"from":"users"},"version":"1"}],"writes":[{"set":"posts/p1/comments/c3","data":{}}]}"#,
            false,
        ),
        ("GET", "/api/v1/collections", "", false),
        ("GET", "/api/v1/collections/posts/p1", "", false),
        ("GET", "/api/v1/listen?doc=posts/p1", "", true),
        ("GET", "/api/v1/listen?from=users", "", false),
        ("GET", "/api/v1/files/main", "", false),
    ] {
        let answer = send(&key, &(method, "", target, body, NO_SCOPE)).await;
        assert_eq!(
            is_out_of_scope(&answer),
            !is_granted,
            "{method} {target} {body}: {}",
            answer.text()
        );
    }
    let left = api.get("/api/v1/docs/posts/p1/comments").await.expect(200).json();
    assert_eq!(
        left["documents"].as_array().unwrap().len(),
        2,
        "what was refused wrote nothing"
    );
    let key = key_with(&server, &["changes:read:posts"]).await;
    for (collections, is_granted) in [
        ("&collections=posts", true),
        ("&collections=posts,posts/p1/comments", true),
        ("&collections=posts,users", false),
        ("&groups=posts", false),
        ("", false),
    ] {
        let target = format!("/api/v1/changes?after=0&wait=0{collections}");
        let answer = key.get(&target).await;
        assert_eq!(
            is_out_of_scope(&answer),
            !is_granted,
            "{target}: {}",
            answer.text()
        );
    }
    let key = key_with(&server, &["files:write:main"]).await;
    for (target, is_granted) in [
        ("/api/v1/files/main/a.txt", true),
        ("/api/v1/files/mainly/a.txt", false),
        ("/api/v1/files/other/a.txt", false),
    ] {
        let row = ("PUT", "", target, "text", NO_SCOPE);
        let answer = send(&key, &row).await;
        assert_eq!(
            is_out_of_scope(&answer),
            !is_granted,
            "{target}: {}",
            answer.text()
        );
        let listed = send(
            &key,
            &("GET", "", target.rsplit_once('/').unwrap().0, "", NO_SCOPE),
        )
        .await;
        assert_eq!(
            is_out_of_scope(&listed),
            !is_granted,
            "{target}: {}",
            listed.text()
        );
    }
}

/// A key that may do something to accounts comes by no account that may do everything.
#[tokio::test]
async fn no_scope_leads_to_an_administrator() {
    let server = TestServer::start_with(&[("auth.hash_memory", "1 MiB"), ("auth.hash_passes", "1")]).await;
    let api = server.api();
    for body in [
        json!({"uid": "boss", "email": "boss@x.example", "password": "correct horse battery", "roles": ["owner"]}),
        json!({"uid": "ada", "email": "ada@x.example", "password": "correct horse battery"}),
    ] {
        api.post("/api/v1/admin/accounts", &body).await.expect(201);
    }
    let everything_but = SCOPES;
    let key = key_with(&server, &everything_but).await;
    for (method, target, body) in [
        (
            "PATCH",
            "/api/v1/admin/accounts/boss",
            json!({"password": "wrong horse, better battery"}),
        ),
        (
            "PATCH",
            "/api/v1/admin/accounts/boss",
            json!({"email": "eve@x.example"}),
        ),
        ("PATCH", "/api/v1/admin/accounts/ada", json!({"roles": ["owner"]})),
        (
            "PATCH",
            "/api/v1/admin/accounts/ada",
            json!({"roles": ["app", "viewer"]}),
        ),
        (
            "PUT",
            "/api/v1/admin/accounts/boss/claims",
            json!({"claims": {"x": 1}}),
        ),
        ("DELETE", "/api/v1/admin/accounts/boss", Value::Null),
        (
            "POST",
            "/api/v1/admin/accounts",
            json!({"email": "eve@x.example", "roles": ["editor"]}),
        ),
        ("POST", "/api/v1/admin/accounts/boss/impersonate", json!({})),
        ("POST", "/api/v1/admin/custom-tokens", json!({"uid": "boss"})),
    ] {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("content-type", "application/json")];
        let answer = key
            .request(method.parse().unwrap(), target, &headers, Some(body.clone()))
            .await;
        answer.expect_problem(403, "permission-denied");
    }
    // Nor does a token that was minted before the account became one.
    let minted = key
        .post("/api/v1/admin/custom-tokens", &json!({"uid": "ada"}))
        .await
        .expect(201)
        .json();
    let sign_in = json!({"token": minted["token"]});
    server
        .anonymous()
        .post("/api/v1/auth/custom", &sign_in)
        .await
        .expect(200);
    api.patch("/api/v1/admin/accounts/ada", &json!({"roles": ["editor"]}))
        .await
        .expect(200);
    server
        .anonymous()
        .post("/api/v1/auth/custom", &sign_in)
        .await
        .expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn scopes_and_ends_that_cannot_be_are_refused() {
    let server = TestServer::start().await;
    for (body, field) in [
        (json!({"name": "a", "scopes": []}), "scopes"),
        (json!({"name": "a", "scopes": ["everything"]}), "scopes"),
        (
            json!({"name": "a", "scopes": ["documents:read:_accounts"]}),
            "scopes",
        ),
        (json!({"name": "a", "scopes": vec!["audit:read"; 33]}), "scopes"),
        (
            json!({"name": "a", "expiresAt": "2020-01-01T00:00:00Z"}),
            "expiresAt",
        ),
    ] {
        let problem = server
            .api()
            .post("/api/v1/admin/keys", &body)
            .await
            .expect_problem(400, "invalid-argument");
        assert_eq!(problem["field"], field, "{body}");
    }
    let listed = server.api().get("/api/v1/admin/keys").await.expect(200).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    assert!(listed["keys"][0]["lastUseTime"].is_string(), "{listed}");
}
