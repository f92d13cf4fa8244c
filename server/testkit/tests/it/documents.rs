//! Documents over a restart, and collections at any depth.

use andiron_testkit::TestServer;
use serde_json::json;

#[tokio::test]
async fn a_restart_changes_nothing_and_makes_no_second_key() {
    let mut server = TestServer::start().await;
    let made = server
        .api()
        .put("/api/v1/docs/posts/p1", &json!({"n": 1}))
        .await
        .expect(201)
        .json();
    server.restart().await;
    let read = server.api().get("/api/v1/docs/posts/p1").await.expect(200).json();
    assert_eq!(read, made);
    let keys = server.api().get("/api/v1/admin/keys").await.expect(200).json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
    server.stop().await;
}

#[tokio::test]
async fn collections_are_found_at_any_depth_even_under_documents_that_do_not_exist() {
    let server = TestServer::start().await;
    for path in ["a/1", "a/1/b/2", "ghost/x/deep/y/deeper/z"] {
        server
            .api()
            .put(&format!("/api/v1/docs/{path}"), &json!({}))
            .await
            .expect(201);
    }
    let all = server
        .api()
        .get("/api/v1/collections?all=true")
        .await
        .expect(200)
        .json();
    assert_eq!(
        all,
        json!({"collections": ["a", "a/1/b", "ghost/x/deep/y/deeper"], "cursor": null})
    );
    let rest = server
        .api()
        .get("/api/v1/collections?all=true&cursor=a")
        .await
        .expect(200)
        .json();
    assert_eq!(rest["collections"], json!(["a/1/b", "ghost/x/deep/y/deeper"]));
    server
        .api()
        .get("/api/v1/collections?cursor=a")
        .await
        .expect_problem(400, "invalid-argument");
}
