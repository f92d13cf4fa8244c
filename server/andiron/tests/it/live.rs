//! Live queries of the program itself, killed and started again.

use andiron_testkit::ServerProcess;
use http::Method;
use serde_json::{Value, json};

use crate::program;

fn said(frame: &Value) -> Vec<String> {
    let changes = frame["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| match change["type"].as_str().unwrap() {
            "set" => format!("+{}", change["document"]["id"].as_str().unwrap()),
            _ => format!("-{}", change["path"].as_str().unwrap()),
        })
        .collect()
}

#[tokio::test]
async fn a_listen_goes_on_after_the_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let key = server.printed_key().unwrap().to_owned();
    let api = server.anonymous().with_key(&key);
    for id in ["p1", "p2", "p3"] {
        let path = format!("/api/v1/docs/posts/{id}");
        api.put(&path, &json!({ "id": id })).await.expect(201);
    }
    let targets = ["from=posts", "from=posts&orderBy=id&limit=2", "doc=posts/p1"];
    let mut tokens = Vec::new();
    for target in targets {
        let (token, first) = api
            .get(&format!("/api/v1/listen?{target}"))
            .await
            .expect(200)
            .event();
        assert_eq!(first["reset"], true);
        tokens.push(token);
    }
    api.delete("/api/v1/docs/posts/p1").await.expect(204);
    server.kill();
    server.start_again();
    let api = server.anonymous().with_key(&key);
    api.put("/api/v1/docs/posts/p4", &json!({ "id": "p4" }))
        .await
        .expect(201);
    let expected = [
        vec!["+p4", "-posts/p1"],
        vec!["+p3", "-posts/p1"],
        vec!["-posts/p1"],
    ];
    for ((target, token), expected) in targets.into_iter().zip(&tokens).zip(expected) {
        let headers = [("last-event-id", token.as_str())];
        let path = format!("/api/v1/listen?{target}");
        let answer = api.request(Method::GET, &path, &headers, None).await.expect(200);
        let (_, resumed) = answer.event();
        assert_eq!(resumed["reset"], false, "{target}");
        let mut said = said(&resumed);
        said.sort();
        assert_eq!(said, expected, "{target}");
    }
}
