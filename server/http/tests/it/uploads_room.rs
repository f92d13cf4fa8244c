//! What unfinished uploads have said to bring counts toward quotas, from their beginning to their end.

use serde_json::{Value, json};

use crate::auth_client::Person;
use crate::client::Request;
use crate::files_buckets::{say, upload, usage};
use crate::files_rules;
use crate::server::Server;
use crate::uploads::{creation, metadata, patch, tus};

/// The status with which an upload to the bucket `main` begins, and its URL if it does.
async fn begin(server: &Server, request: Request) -> (u16, String) {
    let created = server.send(request).await;
    let url = match created.status.as_u16() {
        201 => created.header("location").to_owned(),
        _ => String::new(),
    };
    (created.status.as_u16(), url)
}

/// Bytes of the bucket `main` that are kept free for uploads under way.
async fn reserved(server: &Server) -> u64 {
    let buckets = server.send(Request::get("/api/v1/admin/buckets")).await.json();
    let main = buckets["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|bucket| bucket["name"] == "main");
    main.unwrap()["usage"]["reserved"].as_u64().unwrap()
}

async fn limited(settings: Value) -> Server {
    let server = Server::start().await;
    say(&server, "main", settings).await;
    server
}

#[tokio::test]
async fn what_is_declared_is_taken_until_the_upload_ends_one_way_or_another() {
    let server = limited(json!({"bytes": 100})).await;
    let (status, first) = begin(&server, creation("a", 60)).await;
    assert_eq!(status, 201);
    assert_eq!(begin(&server, creation("b", 60)).await.0, 507);
    assert_eq!(server.send(upload("main/c", 41)).await.status, 507);
    assert_eq!(server.send(upload("main/c", 40)).await.status, 201);
    assert_eq!(
        usage(&server, "main").await,
        (1, 40),
        "what is not there is not counted as a file"
    );
    assert_eq!(reserved(&server).await, 60, "but said to come");
    assert_eq!(server.send(tus("DELETE", &first)).await.status, 204);
    assert_eq!(reserved(&server).await, 0);
    let (status, second) = begin(&server, creation("b", 60)).await;
    assert_eq!(status, 201, "a terminated upload gives its room back");
    assert_eq!(server.send(patch(&second, 0, vec![b'x'; 30])).await.status, 204);
    assert_eq!(
        begin(&server, creation("d", 1)).await.0,
        507,
        "half of it is as much as all"
    );
    assert_eq!(server.send(patch(&second, 30, vec![b'x'; 30])).await.status, 204);
    assert_eq!(usage(&server, "main").await, (2, 100), "it is counted once");
    assert_eq!(
        server
            .send(Request::new("DELETE", "/api/v1/files/main/b"))
            .await
            .status,
        204
    );
    let (status, _) = begin(&server, creation("e", 60)).await;
    assert_eq!(status, 201);
    server.clock.advance(25 * 3600);
    assert_eq!(
        begin(&server, creation("f", 60)).await.0,
        507,
        "it is expired, and not removed yet"
    );
    server.files.collect_garbage().await.unwrap();
    assert_eq!(begin(&server, creation("f", 60)).await.0, 201);
}

/// Attack T73: parallel uploads in several requests past a quota.
#[tokio::test]
async fn of_many_that_begin_at_once_only_those_do_for_which_there_is_room() {
    let server = limited(json!({"bytes": 100})).await;
    let names: Vec<_> = (0..20).map(|number| format!("{number}")).collect();
    let beginning = names.iter().map(|name| begin(&server, creation(name, 30)));
    let begun = futures_util::future::join_all(beginning).await;
    let urls: Vec<_> = begun.iter().filter(|(status, _)| *status == 201).collect();
    assert_eq!(urls.len(), 3, "{begun:?}");
    assert!(
        begun.iter().all(|(status, _)| [201, 507].contains(status)),
        "{begun:?}"
    );
    let finishing = urls
        .iter()
        .map(|(_, url)| server.send(patch(url, 0, vec![b'x'; 30])));
    for finished in futures_util::future::join_all(finishing).await {
        assert_eq!(
            finished.status,
            204,
            "who has room has it to the end: {}",
            finished.text()
        );
    }
    assert_eq!(usage(&server, "main").await, (3, 90));
    assert_eq!(server.send(upload("main/rest", 11)).await.status, 507);
    assert_eq!(server.send(upload("main/rest", 10)).await.status, 201);
}

#[tokio::test]
async fn a_size_that_is_told_later_is_taken_then_and_what_comes_before_as_it_comes() {
    let server = limited(json!({"bytes": 100})).await;
    let deferred = |name: &str| {
        tus("POST", "/api/v1/uploads")
            .header("upload-defer-length", "1")
            .header(
                "upload-metadata",
                &metadata(&[("bucket", "main"), ("name", name)]),
            )
    };
    let (_, url) = begin(&server, deferred("a")).await;
    assert_eq!(server.send(patch(&url, 0, vec![b'x'; 50])).await.status, 204);
    assert_eq!(begin(&server, creation("b", 51)).await.0, 507, "50 have come");
    let longer = patch(&url, 50, "x").header("upload-length", "101");
    assert_eq!(server.send(longer).await.status, 507);
    let all = patch(&url, 50, "x").header("upload-length", "100");
    assert_eq!(server.send(all).await.status, 204);
    assert_eq!(
        begin(&server, creation("b", 1)).await.0,
        507,
        "100 are said to come"
    );
    assert_eq!(server.send(patch(&url, 51, vec![b'x'; 49])).await.status, 204);
    assert_eq!(usage(&server, "main").await, (1, 100));
}

#[tokio::test]
async fn parts_give_their_room_to_the_file_that_they_become() {
    let server = limited(json!({"bytes": 100})).await;
    let mut urls = Vec::new();
    for _ in 0..2 {
        let request = creation("joined", 50).header("upload-concat", "partial");
        let (status, url) = begin(&server, request).await;
        assert_eq!(status, 201);
        assert_eq!(server.send(patch(&url, 0, vec![b'x'; 50])).await.status, 204);
        urls.push(url);
    }
    assert_eq!(begin(&server, creation("other", 1)).await.0, 507);
    let join = tus("POST", "/api/v1/uploads")
        .header("upload-concat", &format!("final;{}", urls.join(" ")))
        .header(
            "upload-metadata",
            &metadata(&[("bucket", "main"), ("name", "joined")]),
        );
    assert_eq!(begin(&server, join).await.0, 201);
    assert_eq!(usage(&server, "main").await, (1, 100));
    let emptied = server.send(upload("main/joined", 0)).await;
    assert_eq!(emptied.status, 200);
    assert_eq!(
        begin(&server, creation("other", 100)).await.0,
        201,
        "nothing is kept twice"
    );
}

#[tokio::test]
async fn what_takes_a_files_place_needs_room_for_what_it_has_more() {
    let server = limited(json!({"bytes": 100})).await;
    assert_eq!(server.send(upload("main/a", 80)).await.status, 201);
    assert_eq!(begin(&server, creation("a", 101)).await.0, 507);
    let (status, url) = begin(&server, creation("a", 100)).await;
    assert_eq!(status, 201);
    assert_eq!(server.send(upload("main/b", 1)).await.status, 507);
    assert_eq!(server.send(patch(&url, 0, vec![b'x'; 100])).await.status, 204);
    assert_eq!(usage(&server, "main").await, (1, 100));
}

#[tokio::test]
async fn it_is_the_account_that_began_an_upload_whose_room_is_taken() {
    let server = files_rules::server(Some(
        "rules_version = '2'; service firebase.storage { match /b/{bucket}/o/{name=**} { allow create; } }",
    ))
    .await;
    say(&server, "main", json!({"accountBytes": 100})).await;
    let (ada, bob) = (
        Person::sign_up(&server, "ada@example.org").await,
        Person::sign_up(&server, "bob@example.org").await,
    );
    let by = async |person: &Person, request: Request| server.send_as_it_is(person.by(request)).await;
    let begun = by(&ada, creation("a", 70)).await;
    assert_eq!(begun.status, 201);
    assert_eq!(by(&ada, creation("b", 31)).await.status, 507);
    assert_eq!(by(&bob, creation("b", 100)).await.status, 201);
    // An administrator ends it; the room is ada's again.
    assert_eq!(
        server.send(tus("DELETE", begun.header("location"))).await.status,
        204
    );
    assert_eq!(by(&ada, creation("b", 100)).await.status, 201);
}
