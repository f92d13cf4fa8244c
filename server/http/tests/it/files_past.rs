//! Files as they were, within the history that is kept.

use serde_json::json;

use crate::client::{Answer, Request};
use crate::files_rules;
use crate::files_upload::put;
use crate::server::Server;

const FILE: &str = "/api/v1/files/main/a";

/// The version that an upload made.
async fn uploaded(server: &Server, bytes: Vec<u8>) -> String {
    put(server, FILE, "text/plain", bytes).await;
    let metadata = server.send(Request::get(&format!("{FILE}?metadata=true"))).await;
    metadata.json()["version"].as_str().unwrap().to_owned()
}

async fn at(server: &Server, version: &str) -> Answer {
    server
        .send(Request::get(&format!("{FILE}?version={version}")))
        .await
}

#[tokio::test]
async fn overwritten_and_deleted_files_are_read_as_they_were_whatever_their_size() {
    // One that lies in a document, and one that does not.
    for size in [5, 100_000] {
        let server = Server::start().await;
        let first = uploaded(&server, vec![b'1'; size]).await;
        let second = uploaded(&server, vec![b'2'; size + 1]).await;
        let deleted = server.send(Request::new("DELETE", FILE)).await;
        assert_eq!(deleted.status, 204);
        assert_eq!(server.send(Request::get(FILE)).await.status, 404);
        let (one, two) = (at(&server, &first).await, at(&server, &second).await);
        assert_eq!(
            (one.status.as_u16(), one.body.to_vec()),
            (200, vec![b'1'; size]),
            "{size}"
        );
        assert_eq!(
            (two.status.as_u16(), two.body.to_vec()),
            (200, vec![b'2'; size + 1]),
            "{size}"
        );
        assert_eq!(one.header("etag"), format!("\"{first}\""));
        let known = server
            .send(Request::get(&format!("{FILE}?version={first}&metadata=true")))
            .await;
        assert_eq!(known.json()["size"], size);
        let part = Request::get(&format!("{FILE}?version={first}")).header("range", "bytes=1-2");
        assert_eq!(server.send(part).await.text(), "11");
        // After it was deleted there is none.
        let newest = server.engine.version().unwrap().to_string();
        assert_eq!(at(&server, &newest).await.status, 404);
        let to_come = at(&server, &format!("{newest}9")).await;
        assert_eq!(
            (to_come.status.as_u16(), to_come.code().as_str()),
            (400, "out-of-range")
        );
        for bad in ["width=3", "link=x"] {
            let refused = server
                .send(Request::get(&format!("{FILE}?version={first}&{bad}")))
                .await;
            assert!(
                matches!(refused.status.as_u16(), 400 | 403),
                "{bad}: {}",
                refused.text()
            );
        }
        // What was is uploaded again, and is there again.
        put(&server, FILE, "text/plain", one.body.to_vec()).await;
        assert_eq!(server.send(Request::get(FILE)).await.body, one.body);
    }
}

#[tokio::test]
async fn what_is_older_than_the_history_is_refused_and_says_so() {
    let server = Server::start().await;
    let first = uploaded(&server, vec![b'1'; 100_000]).await;
    uploaded(&server, vec![b'2'; 100_000]).await;
    server.clock.advance(6 * 24 * 3600);
    server.files.collect_garbage().await.unwrap();
    assert_eq!(at(&server, &first).await.status, 200);
    server.clock.advance(2 * 24 * 3600);
    server.files.collect_garbage().await.unwrap();
    let gone = at(&server, &first).await;
    assert_eq!(
        (gone.status.as_u16(), gone.code().as_str()),
        (400, "out-of-range"),
        "{}",
        gone.text()
    );
    assert_eq!(server.send(Request::get(FILE)).await.status, 200);
}

#[tokio::test]
async fn the_past_of_a_file_is_for_those_who_may_read_it_then_and_now() {
    let rules = "rules_version = '2'; service firebase.storage { match /b/main/o/a {
        allow get: if resource == null || resource.metadata.open == 'yes'; } }";
    let server = files_rules::server(Some(rules)).await;
    let mut versions = Vec::new();
    for open in ["no", "yes"] {
        let request = Request::new("PUT", FILE)
            .header("content-type", "text/plain")
            .header("x-meta-open", open)
            .body(open);
        let uploaded = server.send(request).await;
        versions.push(uploaded.json()["version"].as_str().unwrap().to_owned());
    }
    let anybody = async |version: &str| {
        let request = Request::get(&format!("{FILE}?version={version}"));
        server.send_as_it_is(request).await.status.as_u16()
    };
    assert_eq!(anybody(&versions[1]).await, 200);
    assert_eq!(
        anybody(&versions[0]).await,
        403,
        "a draft is not opened by what came after it"
    );
    // That everybody reads a bucket's files is said of them as they are.
    let bucket = Request::new("PUT", "/api/v1/admin/buckets/main").json(&json!({"publicRead": true}));
    assert_eq!(server.send(bucket).await.status, 200);
    assert_eq!(anybody(&versions[0]).await, 403);
    assert_eq!(
        at(&server, &versions[0]).await.status,
        200,
        "administrators read what is kept"
    );
}
