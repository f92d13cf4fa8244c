//! Rules in a running server: loaded, reloaded, published, refused, taken back; and in force.

use std::path::Path;
use std::time::{Duration, Instant};

use andiron_testkit::{Api, TestServer};
use serde_json::{Value, json};

/// A change of a file that is not in force by then never will be.
const RELOAD_TIME_MAX: Duration = Duration::from_secs(30);

fn rules(body: &str) -> String {
    format!(
        "rules_version = '2';\nservice cloud.firestore {{\n  match /databases/{{db}}/documents {{\n    {body}\n  }}\n}}\n"
    )
}

const OPEN: &str = "match /posts/{post} { allow read: if resource.data.public == true; }";
const CLOSED: &str = "match /posts/{post} { allow read: if false; }";

fn files(text: &str) -> Value {
    json!({"files": [{"name": "andiron.rules", "text": text}]})
}

async fn start_with(text: &str) -> TestServer {
    let mut server = TestServer::start_with(&[("rules.reload", "20ms")]).await;
    std::fs::write(server.folder().join("andiron.rules"), text).unwrap();
    server.restart().await;
    for (id, public) in [("shown", true), ("hidden", false)] {
        let path = format!("/api/v1/docs/posts/{id}");
        server
            .api()
            .put(&path, &json!({"public": public}))
            .await
            .expect(201);
    }
    server
}

/// Asks until the answer is as wanted: a change of a file takes a moment to be seen.
async fn wait_for_status(api: &Api, path: &str, status: u16) {
    let begin = Instant::now();
    loop {
        let answer = api.get(path).await;
        if answer.status == status {
            return;
        }
        assert!(
            begin.elapsed() < RELOAD_TIME_MAX,
            "{path} still answers {}",
            answer.status
        );
    }
}

async fn current(server: &TestServer) -> Value {
    server.api().get("/api/v1/admin/rules").await.expect(200).json()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[tokio::test]
async fn the_rules_of_the_folder_judge_whoever_has_no_key() {
    let server = start_with(&rules(OPEN)).await;
    let nobody = server.anonymous();
    nobody.get("/api/v1/docs/posts/shown").await.expect(200);
    let denied = nobody.get("/api/v1/docs/posts/hidden").await.expect(403);
    let absent = nobody.get("/api/v1/docs/posts/nothing").await.expect(403);
    let without_id = |answer: &andiron_testkit::Answer| {
        let mut json = answer.json();
        json["requestId"] = Value::Null;
        json
    };
    assert_eq!(
        without_id(&denied),
        without_id(&absent),
        "hidden and absent are the same"
    );
    let listed = nobody.get("/api/v1/docs/posts").await.expect(200).json();
    assert_eq!(listed["documents"].as_array().unwrap().len(), 1);
    assert_eq!(listed["documents"][0]["id"], "shown");
    let counted = nobody
        .post(
            "/api/v1/aggregate",
            &json!({"query": {"from": "posts"}, "aggregates": {"n": ["count"]}}),
        )
        .await
        .expect(200);
    assert_eq!(counted.json()["aggregates"]["n"], 1);
    let strict = json!({"from": "posts", "strict": true});
    nobody.post("/api/v1/query", &strict).await.expect(403);
    let proved = json!({"from": "posts", "where": ["public", "==", true], "strict": true});
    nobody.post("/api/v1/query", &proved).await.expect(200);
    nobody
        .put("/api/v1/docs/posts/shown", &json!({"public": false}))
        .await
        .expect(403);
}

#[tokio::test]
async fn a_change_of_the_file_is_in_force_without_a_restart() {
    let server = start_with(&rules(CLOSED)).await;
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(403);
    std::fs::write(server.folder().join("andiron.rules"), rules(OPEN)).unwrap();
    wait_for_status(&server.anonymous(), "/api/v1/docs/posts/shown", 200).await;
    let now = current(&server).await;
    assert_eq!(now["revision"], 2);
    assert_eq!(now["origin"], "files");
    assert_eq!(now["isInForce"], true);
}

#[tokio::test]
async fn a_broken_file_is_refused_and_what_was_in_force_still_is() {
    let mut server = start_with(&rules(OPEN)).await;
    std::fs::write(server.folder().join("andiron.rules"), "service cloud.firestore {").unwrap();
    let begin = Instant::now();
    let refused = loop {
        let now = current(&server).await;
        if let Some(refused) = now.get("refused") {
            break refused.clone();
        }
        assert!(begin.elapsed() < RELOAD_TIME_MAX);
    };
    assert_eq!(refused["diagnostics"]["valid"], false);
    assert_eq!(refused["diagnostics"]["diagnostics"][0]["file"], "andiron.rules");
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(200);
    server
        .anonymous()
        .get("/api/v1/docs/posts/hidden")
        .await
        .expect(403);
    server.restart().await;
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(200);
    server
        .anonymous()
        .get("/api/v1/docs/posts/hidden")
        .await
        .expect(403);
    assert_eq!(current(&server).await["refused"]["diagnostics"]["valid"], false);
}

#[tokio::test]
async fn without_a_file_everything_is_denied_but_to_keys() {
    let server = start_with(&rules(OPEN)).await;
    std::fs::remove_file(server.folder().join("andiron.rules")).unwrap();
    wait_for_status(&server.anonymous(), "/api/v1/docs/posts/shown", 403).await;
    server.api().get("/api/v1/docs/posts/shown").await.expect(200);
    assert_eq!(current(&server).await["isInForce"], false);
}

#[tokio::test]
async fn imported_files_count_and_are_watched() {
    let importing = "rules_version = 'andiron1';\nimport \"./rules/who.rules\";\nservice cloud.firestore {\n  \
                     match /databases/{db}/documents {\n    match /posts/{post} { allow read: if everybody(); }\n  }\n}\n";
    let who =
        |answer: &str| format!("rules_version = 'andiron1';\nfunction everybody() {{ return {answer}; }}\n");
    let mut server = TestServer::start_with(&[("rules.reload", "20ms")]).await;
    std::fs::create_dir(server.folder().join("rules")).unwrap();
    std::fs::write(server.folder().join("rules/who.rules"), who("1 == 2")).unwrap();
    std::fs::write(server.folder().join("andiron.rules"), importing).unwrap();
    server.restart().await;
    server
        .anonymous()
        .get("/api/v1/docs/posts/none")
        .await
        .expect(403);
    std::fs::write(server.folder().join("rules/who.rules"), who("1 == 1")).unwrap();
    wait_for_status(&server.anonymous(), "/api/v1/docs/posts/none", 404).await;
}

#[tokio::test]
async fn publishing_writes_the_files_keeps_a_revision_and_is_in_force_at_once() {
    let mut server = start_with(&rules(CLOSED)).await;
    let api = server.api();
    let answer = api
        .put("/api/v1/admin/rules", &files(&rules(OPEN)))
        .await
        .expect(200);
    assert_eq!(answer.headers["etag"], "\"2\"");
    assert_eq!(answer.json()["origin"], "api");
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(200);
    assert_eq!(read(server.folder(), "andiron.rules"), rules(OPEN));
    // The same again is no new revision.
    let again = api
        .put("/api/v1/admin/rules", &files(&rules(OPEN)))
        .await
        .expect(200);
    assert_eq!(again.json()["revision"], 2);
    server.restart().await;
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(200);
    assert_eq!(
        current(&server).await["revision"],
        2,
        "the files are those of the revision"
    );
}

#[tokio::test]
async fn publishing_builds_on_what_its_author_saw() {
    let server = start_with(&rules(CLOSED)).await;
    let api = server.api();
    let put = |revision: &'static str| {
        let api = api.clone();
        let body = files(&rules(OPEN)).to_string();
        async move {
            let headers = [("if-match", revision), ("content-type", "application/json")];
            api.request(http::Method::PUT, "/api/v1/admin/rules", &headers, Some(body))
                .await
        }
    };
    put("\"7\"").await.expect(412);
    put("3").await.expect(400);
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(403);
    put("\"1\"").await.expect(200);
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused_with_the_place_and_change_nothing() {
    let server = start_with(&rules(OPEN)).await;
    let api = server.api();
    let broken = rules("match /posts/{post} { allow read: if reqest.auth != null }");
    let answer = api
        .put(
            "/api/v1/admin/rules",
            &files("rules_version = '2';\nservice cloud.firestore { match /a/{b} { allow read if true; } }"),
        )
        .await
        .expect(400)
        .json();
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("`andiron.rules`, line 2, column"),
        "{answer}"
    );
    let checked = api
        .post("/api/v1/admin/rules/check", &files(&broken))
        .await
        .expect(200)
        .json();
    assert!(
        !checked["diagnostics"].as_array().unwrap().is_empty(),
        "{checked}"
    );
    for (name, why) in [
        ("other.rules", "no `andiron.rules`"),
        ("../andiron.rules", "path in the project's folder"),
        ("/etc/andiron.rules", "path in the project's folder"),
        ("andiron.toml", "path in the project's folder"),
        (".git/x.rules", "path in the project's folder"),
    ] {
        let body = json!({"files": [{"name": name, "text": rules(OPEN)}]});
        let answer = api.put("/api/v1/admin/rules", &body).await.expect(400).json();
        assert!(
            answer["detail"].as_str().unwrap().contains(why),
            "{name}: {answer}"
        );
    }
    assert_eq!(read(server.folder(), "andiron.rules"), rules(OPEN));
    assert_eq!(current(&server).await["revision"], 1);
}

#[tokio::test]
async fn revisions_are_listed_compared_and_taken_up_again() {
    let server = start_with(&rules(CLOSED)).await;
    let api = server.api();
    api.put("/api/v1/admin/rules", &files(&rules(OPEN)))
        .await
        .expect(200);
    let listed = api.get("/api/v1/admin/rules/revisions").await.expect(200).json();
    let numbers: Vec<_> = listed["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| revision["revision"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [2, 1]);
    assert!(
        listed["revisions"][0]["author"]
            .as_str()
            .unwrap()
            .starts_with("key:")
    );
    let page = api
        .get("/api/v1/admin/rules/revisions?before=2&limit=1")
        .await
        .expect(200)
        .json();
    assert_eq!(page["revisions"][0]["revision"], 1);
    let first = api
        .get("/api/v1/admin/rules/revisions/1")
        .await
        .expect(200)
        .json();
    assert_eq!(first["files"][0]["text"], rules(CLOSED));
    let diff = api
        .get("/api/v1/admin/rules/revisions/2/diff")
        .await
        .expect(200)
        .json();
    let text = diff["diff"].as_str().unwrap();
    assert!(text.contains(&format!("-    {CLOSED}\n+    {OPEN}\n")), "{text}");
    api.get("/api/v1/admin/rules/revisions/9").await.expect(404);
    api.get("/api/v1/admin/rules/revisions/x").await.expect(400);
    api.post("/api/v1/admin/rules/rollback", &json!({"revision": 9}))
        .await
        .expect(404);
    let back = api
        .post("/api/v1/admin/rules/rollback", &json!({"revision": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&back["revision"], &back["origin"]),
        (&json!(3), &json!("rollback"))
    );
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(403);
    assert_eq!(read(server.folder(), "andiron.rules"), rules(CLOSED));
}

#[tokio::test]
async fn many_publish_at_once_and_every_revision_is_whole() {
    let server = start_with(&rules(CLOSED)).await;
    let publishing: Vec<_> = (0..16)
        .map(|n| {
            let api = server.api();
            let text = rules(&format!("match /c{n}/{{id}} {{ allow read: if true; }}"));
            tokio::spawn(async move {
                api.put("/api/v1/admin/rules", &files(&text))
                    .await
                    .expect(200)
                    .json()
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for published in publishing {
        numbers.push(published.await.unwrap()["revision"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 16);
    let last = current(&server).await;
    assert_eq!(last["isInForce"], true);
    assert_eq!(last["files"][0]["text"], read(server.folder(), "andiron.rules"));
}

#[tokio::test]
async fn decisions_are_explained_with_documents_of_the_store() {
    let text = rules(
        "match /posts/{post} { allow read: if get(/databases/$(db)/documents/users/$(request.auth.uid)).data.role == 'editor'; }",
    );
    let server = start_with(&text).await;
    let api = server.api();
    api.put("/api/v1/docs/users/alice", &json!({"role": "editor"}))
        .await
        .expect(201);
    let ask = |uid: &str| {
        json!({"service": "cloud.firestore", "method": "get", "path": "posts/shown", "auth": {"uid": uid, "token": {}},
               "before": {"public": true}})
    };
    let answer = api
        .post("/api/v1/admin/rules/explain", &ask("alice"))
        .await
        .expect(200)
        .json();
    assert_eq!(answer["allowed"], true, "{answer}");
    assert_eq!(answer["decidedBy"]["file"], "andiron.rules");
    let both = api
        .post("/api/v1/admin/rules/explain", &json!([ask("alice"), ask("bob")]))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&both[0]["allowed"], &both[1]["allowed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(both[1]["tried"][0]["line"], 4);
    api.post("/api/v1/admin/rules/explain", &json!({"method": "peek"}))
        .await
        .expect(400);
}

#[tokio::test]
async fn tests_run_on_the_rules_in_force_or_on_those_given() {
    let server = start_with(&rules(OPEN)).await;
    let api = server.api();
    let tests = json!([{"name": "posts.test.rules", "text":
        "given { /posts/p1 { public: true } }\ntest \"posts are shown\" {\n  as nobody { allow get /posts/p1; }\n}\n"}]);
    let report = api
        .post("/api/v1/admin/rules/test", &json!({"tests": tests}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(1), &json!(0)),
        "{report}"
    );
    let body = json!({"tests": tests, "files": files(&rules(CLOSED))["files"]});
    let report = api
        .post("/api/v1/admin/rules/test", &body)
        .await
        .expect(200)
        .json();
    assert_eq!(report["failed"], 1, "{report}");
    assert_eq!(report["tests"][0]["failures"][0]["line"], 3);
    let broken = json!({"tests": [{"name": "x.test.rules", "text": "test {"}]});
    api.post("/api/v1/admin/rules/test", &broken).await.expect(400);
    server
        .anonymous()
        .get("/api/v1/docs/posts/shown")
        .await
        .expect(200);
}

#[tokio::test]
async fn nobody_but_administrators_sees_or_changes_rules() {
    let server = start_with(&rules(OPEN)).await;
    let nobody = server.anonymous();
    for path in ["", "/revisions", "/revisions/1", "/revisions/1/diff"] {
        nobody
            .get(&format!("/api/v1/admin/rules{path}"))
            .await
            .expect(403);
    }
    nobody
        .put("/api/v1/admin/rules", &files(&rules(OPEN)))
        .await
        .expect(403);
    for path in ["check", "test", "explain", "rollback"] {
        nobody
            .post(&format!("/api/v1/admin/rules/{path}"), &json!({}))
            .await
            .expect(403);
    }
    for path in [
        "/api/v1/docs/_rules/1",
        "/api/v1/docs/_rules",
        "/api/v1/docs/_rules_current/current",
    ] {
        nobody.get(path).await.expect(403);
        server.api().get(path).await.expect(403);
    }
}
