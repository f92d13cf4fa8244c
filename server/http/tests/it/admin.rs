//! Service keys and figures through the API.

use serde_json::json;

use crate::client::Request;
use crate::reference::assert_described;
use crate::scenario::{refuses, run};
use crate::server::Server;

const KEYS: &str = "/api/v1/admin/keys";

#[tokio::test]
async fn a_key_is_made_shown_once_used_and_revoked() {
    let server = Server::start().await;
    let created = server
        .send(Request::new("POST", KEYS).json(&json!({"name": "ci"})))
        .await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.header("cache-control"), "no-store");
    let created = created.json();
    let key = created["key"].as_str().unwrap();
    let with_it = || Request::get("/api/v1/collections").header("authorization", &format!("Bearer {key}"));
    assert_eq!(server.send_as_it_is(with_it()).await.status, 200);
    let listed = server.send(Request::get(KEYS)).await;
    // The secret itself may have an underscore in it.
    let (_, secret) = key["ak_".len()..].split_once('_').unwrap();
    assert!(!listed.text().contains(secret), "a listing shows a secret");
    let names: Vec<_> = listed.json()["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].clone())
        .collect();
    assert_eq!(names, ["test", "ci"]);
    let revoked = server.send(Request::new("DELETE", &format!("{KEYS}/ci"))).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(revoked.json()["id"], created["id"]);
    assert_eq!(server.send_as_it_is(with_it()).await.status, 401);
    let by_id = server
        .send(Request::new("POST", KEYS).json(&json!({"name": "ci"})))
        .await
        .json();
    let id = by_id["id"].as_str().unwrap();
    assert_eq!(
        server
            .send(Request::new("DELETE", &format!("{KEYS}/{id}")))
            .await
            .json()["name"],
        "ci"
    );
}

#[tokio::test]
async fn keys_that_cannot_be_are_refused() {
    let server = Server::start().await;
    run(
        &server,
        vec![
            refuses("a name that is taken", "POST", KEYS, 409, "already-exists")
                .body(r#"{"name":"test"}"#)
                .member("/field", "name"),
            refuses("an empty name", "POST", KEYS, 400, "invalid-argument")
                .body(r#"{"name":""}"#)
                .member("/field", "name"),
            refuses("a name with a line feed", "POST", KEYS, 400, "invalid-argument")
                .body(r#"{"name":"a\nb"}"#),
            refuses("no name", "POST", KEYS, 400, "invalid-argument")
                .body("{}")
                .contains("name"),
            refuses("a name that is no string", "POST", KEYS, 400, "invalid-argument")
                .body(r#"{"name":null}"#),
            refuses("more than a name", "POST", KEYS, 400, "invalid-argument")
                .body(r#"{"name":"x","admin":true}"#)
                .contains("admin"),
            refuses(
                "a key that is none",
                "DELETE",
                "/api/v1/admin/keys/nobody",
                404,
                "not-found",
            )
            .contains("`nobody`"),
            refuses(
                "a name badly encoded",
                "DELETE",
                "/api/v1/admin/keys/%zz",
                400,
                "invalid-argument",
            ),
            refuses("a method that is none", "PUT", KEYS, 405, "invalid-argument").body("{}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn info_tells_versions_and_sizes() {
    let server = Server::start().await;
    let put = server
        .send(Request::new("PUT", "/api/v1/docs/posts/p1").body("{}"))
        .await
        .json();
    let info = server.send(Request::get("/api/v1/admin/info")).await.json();
    assert_eq!(info["serverVersion"], "0.0.0-test");
    assert_eq!(info["version"], put["version"]);
    assert!(info["log"]["changes"].as_u64().unwrap() >= 1);
    assert!(info["dataBytes"].is_u64() && info["log"]["bytes"].is_u64() && info["log"]["start"].is_string());
}

#[tokio::test]
async fn indexes_are_listed_with_what_they_hold_and_how_they_fare() {
    let server = Server::start().await;
    let writes: Vec<_> = (0..400)
        .map(|n| json!({"create": format!("posts/p{n:03}"), "data": {"n": n}}))
        .collect();
    let commit = Request::new("POST", "/api/v1/commit").json(&json!({"writes": writes}));
    assert_eq!(server.send(commit).await.status, 200);
    let none = server.send(Request::get("/api/v1/admin/indexes")).await.json();
    assert_eq!(none, json!({"indexes": []}));
    // A query that reads hundreds of documents to return one, until an index has come for it.
    for _ in 0..100 {
        let query = json!({"from": "posts", "where": ["n", "==", 7]});
        let answer = server
            .send(Request::new("POST", "/api/v1/query").json(&query))
            .await;
        assert_eq!(answer.json()["documents"][0]["id"], "p007");
        server.engine.settle_indexes().await.unwrap();
    }
    let indexes = server.send(Request::get("/api/v1/admin/indexes")).await.json();
    assert_described("Indexes", &indexes);
    let index = &indexes["indexes"][0];
    assert_eq!(index["collection"], "posts", "{indexes}");
    assert_eq!(index["fields"], json!([["n", "asc"]]));
    assert_eq!(index["state"], "ready");
}
