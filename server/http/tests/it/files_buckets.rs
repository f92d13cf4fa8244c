//! What is said of buckets: public ones, limits, quotas.

use serde_json::{Value, json};

use crate::auth_client::Person;
use crate::client::Request;
use crate::files_rules;
use crate::files_upload::put;
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

const BUCKETS: &str = "/api/v1/admin/buckets";

pub(crate) async fn say(server: &Server, bucket: &str, settings: Value) {
    let request = Request::new("PUT", &format!("{BUCKETS}/{bucket}")).json(&settings);
    let said = server.send(request).await;
    assert_eq!(said.status, 200, "{}", said.text());
}

pub(crate) fn upload(target: &str, bytes: usize) -> Request {
    Request::new("PUT", &format!("/api/v1/files/{target}"))
        .header("content-type", "text/plain")
        .body(vec![b'x'; bytes])
}

/// How much a bucket has, as it is told.
pub(crate) async fn usage(server: &Server, bucket: &str) -> (u64, u64) {
    let told = server.send(Request::get(BUCKETS)).await.json();
    let buckets = told["buckets"].as_array().unwrap();
    let found = buckets.iter().find(|found| found["name"] == bucket).unwrap();
    let number = |name: &str| found["usage"][name].as_u64().unwrap();
    (number("files"), number("bytes"))
}

#[tokio::test]
async fn administrators_say_what_holds_of_buckets() {
    let server = Server::start().await;
    let one = &format!("{BUCKETS}/photos");
    run(
        &server,
        vec![
            answers("nothing is said yet", "GET", BUCKETS, 200).member("/buckets", json!([])),
            answers("something is", "PUT", one, 200)
                .header("content-type", "application/json")
                .body(r#"{"publicRead":true,"fileBytes":100,"bytes":1000,"accountBytes":500,"types":["image/*"]}"#)
                .member("/name", "photos")
                .member("/isDeclared", false)
                .member("/usage/files", 0),
            answers("and told", "GET", BUCKETS, 200)
                .member("/buckets/0/publicRead", true)
                .member("/buckets/0/fileBytes", 100)
                .member("/buckets/0/bytes", 1000)
                .member("/buckets/0/types", json!(["image/*"]))
                .member("/buckets/0/freeVariants", false),
            refuses("no bucket", "PUT", &format!("{BUCKETS}/NO"), 400, "invalid-argument")
                .header("content-type", "application/json")
                .body("{}"),
            refuses("no type", "PUT", one, 400, "invalid-argument")
                .header("content-type", "application/json")
                .body(r#"{"types":["image"]}"#),
            refuses("unknown members", "PUT", one, 400, "invalid-argument")
                .header("content-type", "application/json")
                .body(r#"{"public":true}"#),
            answers("it is taken back", "DELETE", one, 204),
            answers("and nothing is said", "GET", BUCKETS, 200).member("/buckets", json!([])),
        ],
    )
    .await;
    for (method, target) in [("GET", BUCKETS), ("PUT", one), ("DELETE", one)] {
        let refused = server
            .send_as_it_is(Request::new(method, target).json(&json!({})))
            .await;
        assert_eq!(refused.status, 403, "{method}");
    }
}

#[tokio::test]
async fn everybody_reads_a_public_bucket_and_nothing_more() {
    let rules = "rules_version = '2'; service firebase.storage { match /b/none/o/{name} { allow read; } }";
    let server = files_rules::server(Some(rules)).await;
    say(&server, "site", json!({"publicRead": true})).await;
    put(&server, "/api/v1/files/site/a", "text/plain", "x").await;
    put(&server, "/api/v1/files/other/a", "text/plain", "x").await;
    for (method, target, status) in [
        ("GET", "/api/v1/files/site/a", 200),
        ("HEAD", "/api/v1/files/site/a", 200),
        ("GET", "/api/v1/files/site/a?metadata=true", 200),
        ("GET", "/api/v1/files/site/absent", 404),
        ("GET", "/api/v1/files/other/a", 403),
        ("PUT", "/api/v1/files/site/a", 403),
        ("DELETE", "/api/v1/files/site/a", 403),
    ] {
        let answer = server.send_as_it_is(Request::new(method, target)).await;
        assert_eq!(answer.status, status, "{method} {target}");
    }
    let list = server.send_as_it_is(Request::get("/api/v1/files/site")).await;
    assert_eq!(
        list.json()["files"],
        json!([]),
        "a list is for the rules to allow"
    );
}

#[tokio::test]
async fn a_bucket_takes_what_it_is_for() {
    let server = Server::start().await;
    say(
        &server,
        "b",
        json!({"fileBytes": 10, "types": ["image/png", "text/*"]}),
    )
    .await;
    let status = async |request| server.send(request).await.status.as_u16();
    assert_eq!(status(upload("b/a", 10)).await, 201);
    assert_eq!(status(upload("b/a", 11)).await, 413);
    let typed = |kind: &str, bytes: &'static [u8]| {
        Request::new("PUT", "/api/v1/files/b/t")
            .header("content-type", kind)
            .body(bytes)
    };
    assert_eq!(status(typed("text/csv", b"a,b")).await, 201);
    assert_eq!(status(typed("image/gif", b"GIF89a")).await, 415);
    assert_eq!(
        status(typed("image/png", b"GIF89a")).await,
        415,
        "whatever it calls itself"
    );
    let copied = Request::new("POST", "/api/v1/files/main/large").json(&json!({"copy": {"to": "b/large"}}));
    put(&server, "/api/v1/files/main/large", "text/plain", "x".repeat(11)).await;
    assert_eq!(status(copied).await, 413, "however it comes");
}

#[tokio::test]
async fn figures_follow_what_is_there() {
    let server = Server::start().await;
    say(&server, "b", json!({})).await;
    say(&server, "c", json!({})).await;
    let done = async |request: Request| {
        let answer = server.send(request).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    };
    done(upload("b/a", 10)).await;
    done(upload("b/a", 7)).await;
    done(upload("b/b", 5)).await;
    assert_eq!(usage(&server, "b").await, (2, 12));
    done(Request::new("POST", "/api/v1/files/b/a").json(&json!({"copy": {"to": "c/a"}}))).await;
    done(Request::new("POST", "/api/v1/files/b/b").json(&json!({"move": {"to": "c/b"}}))).await;
    assert_eq!(
        (usage(&server, "b").await, usage(&server, "c").await),
        ((1, 7), (2, 12))
    );
    done(Request::new("POST", "/api/v1/files/c").json(&json!({"delete": ["a", "b", "b", "absent"]}))).await;
    done(Request::new("DELETE", "/api/v1/files/b/a")).await;
    assert_eq!(
        (usage(&server, "b").await, usage(&server, "c").await),
        ((0, 0), (0, 0))
    );
}

/// Attack T73: parallel uploads past a quota.
#[tokio::test]
async fn many_at_once_get_no_more_in_than_there_is_room_for() {
    let server = Server::start().await;
    say(&server, "b", json!({"bytes": 1000})).await;
    let uploads = (0..30).map(|number| {
        let server = &server;
        async move { server.send(upload(&format!("b/{number}"), 90)).await }
    });
    let statuses: Vec<u16> = futures_util::future::join_all(uploads)
        .await
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    let uploaded = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(uploaded, 11, "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [201, 507].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(usage(&server, "b").await, (11, 990));
    // What is overwritten makes room for what comes.
    let number = statuses.iter().position(|status| *status == 201).unwrap();
    assert_eq!(server.send(upload(&format!("b/{number}"), 100)).await.status, 200);
    assert_eq!(server.send(upload(&format!("b/{number}"), 101)).await.status, 507);
    assert_eq!(usage(&server, "b").await, (11, 1000));
    assert_eq!(
        server
            .send(Request::new("DELETE", &format!("/api/v1/files/b/{number}")))
            .await
            .status,
        204
    );
    assert_eq!(server.send(upload("b/new", 100)).await.status, 201);
}

#[tokio::test]
async fn many_at_once_all_get_in_where_there_is_room() {
    let server = Server::start().await;
    say(&server, "b", json!({"bytes": 1_000_000})).await;
    // Every one of them changes the same figure, and some the same file.
    let uploads = (0..300).map(|number| {
        let server = &server;
        async move { server.send(upload(&format!("b/{}", number % 200), 10)).await }
    });
    let answers = futures_util::future::join_all(uploads).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(200)), (200, 100));
    assert_eq!(usage(&server, "b").await, (200, 2000));
}

#[tokio::test]
async fn an_account_has_room_of_its_own() {
    let server = files_rules::server(Some(
        "rules_version = '2'; service firebase.storage { match /b/{bucket}/o/{name=**} { allow create, delete; } }",
    ))
    .await;
    say(&server, "b", json!({"accountBytes": 100})).await;
    let (ada, bob) = (
        Person::sign_up(&server, "ada@example.org").await,
        Person::sign_up(&server, "bob@example.org").await,
    );
    let by = async |person: &Person, request: Request| {
        server.send_as_it_is(person.by(request)).await.status.as_u16()
    };
    assert_eq!(by(&ada, upload("b/1", 60)).await, 201);
    assert_eq!(by(&ada, upload("b/2", 41)).await, 507);
    assert_eq!(by(&bob, upload("b/2", 100)).await, 201);
    // Whose file is overwritten gets its room back.
    assert_eq!(by(&ada, upload("b/2", 40)).await, 200);
    assert_eq!(by(&bob, upload("b/3", 100)).await, 201);
    assert_eq!(by(&bob, Request::new("DELETE", "/api/v1/files/b/1")).await, 204);
    assert_eq!(by(&ada, upload("b/4", 60)).await, 201);
    assert_eq!(by(&ada, upload("b/5", 1)).await, 507);
    assert_eq!(
        server.send(upload("b/6", 500)).await.status,
        201,
        "administrators have no account here"
    );
}
