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

/// A worker that writes down how far it has got.
struct Worker {
    after: String,
    dealt_with: Vec<String>,
}

impl Worker {
    /// Deals with what there is, until so many commits.
    async fn work(&mut self, api: &andiron_testkit::Api, commits_max: usize) {
        let path = format!("/api/v1/changes?collections=orders&wait=0&after={}", self.after);
        let answer = api.get(&path).await.expect(200);
        for line in answer.text().lines().take(commits_max) {
            let frame: Value = serde_json::from_str(line).unwrap();
            for change in frame["changes"].as_array().unwrap() {
                assert_eq!(
                    (&change["type"], &change["before"]),
                    (&json!("create"), &Value::Null)
                );
                let id = change["after"]["id"].as_str().unwrap();
                self.dealt_with.push(id.to_owned());
            }
            frame["version"].as_str().unwrap().clone_into(&mut self.after);
        }
    }
}

#[tokio::test]
async fn a_worker_with_a_bookmark_is_told_everything_once_though_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(program(), folder.path(), &[]);
    let key = server.printed_key().unwrap().to_owned();
    let mut worker = Worker {
        after: "0".to_owned(),
        dealt_with: Vec::new(),
    };
    let mut answered = Vec::new();
    for round in 0..4 {
        let api = server.anonymous().with_key(&key);
        for number in 0..10 {
            let id = format!("{round}{number}");
            api.put(&format!("/api/v1/docs/orders/{id}"), &json!({ "id": id }))
                .await
                .expect(201);
            api.put("/api/v1/docs/noise/n", &json!({ "n": number }))
                .await
                .expect(if round + number == 0 { 201 } else { 200 });
            answered.push(id);
        }
        worker.work(&api, 7).await;
        server.kill();
        server.start_again();
    }
    let api = server.anonymous().with_key(&key);
    worker.work(&api, usize::MAX).await;
    assert_eq!(worker.dealt_with, answered);
}
