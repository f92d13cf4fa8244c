//! Uploading files: bytes, digests, conditions, metadata, deletion, and what is left behind.

use andiron_engine::Caller;
use andiron_protocol::{CommitBody, Precondition, Write, WriteKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, Client, Request};
use crate::scenario::{answers, refuses, run};
use crate::server::Server;

const CAT: &str = "/api/v1/files/main/cats/cat.txt";

pub(crate) async fn put(
    server: &Server,
    target: &str,
    content_type: &str,
    bytes: impl Into<bytes::Bytes>,
) -> Answer {
    let request = Request::new("PUT", target)
        .header("content-type", content_type)
        .body(bytes);
    let answer = server.send(request).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    answer
}

#[tokio::test]
async fn files_are_uploaded_read_changed_and_deleted() {
    let server = Server::start().await;
    run(
        &server,
        vec![
            refuses("nothing is there yet", "GET", CAT, 404, "not-found"),
            answers("put creates", "PUT", CAT, 201)
                .header("content-type", "text/plain; charset=UTF-8")
                .header("x-meta-owner", "alice")
                .body("meow")
                .member("/bucket", "main")
                .member("/name", "cats/cat.txt")
                .member("/size", 4)
                .member("/contentType", "text/plain; charset=utf-8")
                .member("/md5Hash", "SkvkDJasYxTpHZPzgEOmNA==")
                .member("/metageneration", "1")
                .member("/metadata", json!({"owner": "alice"})),
            answers("get reads the bytes", "GET", CAT, 200).contains("meow"),
            answers("its metadata", "GET", &format!("{CAT}?metadata=true"), 200)
                .member("/size", 4)
                .member("/metadata/owner", "alice"),
            answers("put overwrites", "PUT", CAT, 200)
                .body("meow meow")
                .member("/size", 9)
                .member("/metadata", json!({})),
            answers("patch changes metadata", "PATCH", CAT, 200)
                .header("content-type", "application/json")
                .body(r#"{"cacheControl":"max-age=60","metadata":{"a":"1","b":"2"}}"#)
                .member("/cacheControl", "max-age=60")
                .member("/metageneration", "2"),
            answers("and takes them away", "PATCH", CAT, 200)
                .header("content-type", "application/json")
                .body(r#"{"cacheControl":null,"metadata":{"a":null}}"#)
                .member("/cacheControl", json!(null))
                .member("/metadata", json!({"b": "2"})),
            refuses("unknown members", "PATCH", CAT, 400, "invalid-argument")
                .header("content-type", "application/json")
                .body(r#"{"size":1}"#),
            refuses(
                "patch of nothing",
                "PATCH",
                "/api/v1/files/main/none",
                404,
                "not-found",
            )
            .header("content-type", "application/json")
            .body("{}"),
            answers("the bytes are as they were", "GET", CAT, 200).contains("meow meow"),
            answers("delete deletes", "DELETE", CAT, 204),
            answers("and again, though nothing is there", "DELETE", CAT, 204),
            refuses("unless it has to be", "DELETE", CAT, 412, "failed-precondition").header("if-match", "*"),
            refuses("it is gone", "GET", CAT, 404, "not-found"),
            answers("an empty file is a file", "PUT", CAT, 201).member("/size", 0),
            answers("and read as such", "GET", CAT, 200).header("range", "lines=1"),
        ],
    )
    .await;
}

/// Attack T67: names that climb, break lines, hide their end or are devices.
#[tokio::test]
async fn names_that_mislead_are_refused_and_none_becomes_a_path() {
    let server = Server::start().await;
    for target in [
        "main/../x",
        "main/%2e%2e/x",
        "main/a/%2E%2E%2F%2E%2E/x",
        "main/a//b",
        "main/a/",
        "main/%00",
        "main/a%0d%0ab",
        "main/a%2fb",
        "main/%E2%80%AEgpj.exe",
        "MAIN/a",
        "-x/a",
        "main/__x__",
        "main/%ff",
        "main/%zz",
    ] {
        for method in ["PUT", "GET", "DELETE"] {
            let request = Request::new(method, &format!("/api/v1/files/{target}"));
            let answer = server.send(request).await;
            assert_eq!(answer.status, 400, "{method} {target}: {}", answer.text());
        }
    }
    let long = format!("/api/v1/files/main/{}", "x".repeat(1025));
    assert_eq!(server.send(Request::new("PUT", &long)).await.status, 400);
    for target in [
        "main/con",
        "main/...",
        "main/a%5c..%5cb",
        "main/C:%5Cx",
        "main/a%20b",
        "main/%F0%9F%90%88",
    ] {
        put(&server, &format!("/api/v1/files/{target}"), "text/plain", "x").await;
    }
    for name in server.stored_keys().await {
        assert!(
            name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn digests_that_differ_are_refused_and_nothing_is_left() {
    let server = Server::start().await;
    let bytes = vec![7; 3_000_000];
    let sha256 = STANDARD.encode(Sha256::digest(&bytes));
    let other = STANDARD.encode(Sha256::digest(b"x"));
    let upload =
        |name: &str, value: String| Request::new("PUT", CAT).header(name, &value).body(bytes.clone());
    for (header, value) in [
        ("content-digest", format!("sha-256=:{other}:")),
        ("content-digest", format!("sha-512=:AAAA:, sha-256=:{other}:")),
        ("content-digest", "sha-256=xyz".to_owned()),
        ("content-digest", "nonsense".to_owned()),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==".to_owned()),
        ("content-md5", "nonsense".to_owned()),
        ("content-range", "bytes 0-1/2".to_owned()),
        ("content-type", "nonsense".to_owned()),
        ("content-encoding", "exe".to_owned()),
        ("x-meta-big", "x".repeat(9000)),
        ("if-match", "nonsense".to_owned()),
    ] {
        let answer = server.send(upload(header, value.clone())).await;
        assert_eq!(answer.status, 400, "{header}: {value}: {}", answer.text());
    }
    assert_eq!(server.send(Request::get(CAT)).await.status, 404);
    let answer = server
        .send(upload("content-digest", format!("sha-256=:{sha256}:")))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["sha256"], sha256);
    assert_eq!(server.send(Request::get(CAT)).await.body, bytes);
    assert_eq!(server.stored_keys().await.len(), 1);
}

#[tokio::test]
async fn conditions_decide_what_is_overwritten() {
    let server = Server::start().await;
    let with = |name: &str, value: &str| Request::new("PUT", CAT).header(name, value).body("x");
    assert_eq!(server.send(with("if-match", "*")).await.status, 412);
    assert_eq!(server.send(with("if-none-match", "*")).await.status, 201);
    assert_eq!(server.send(with("if-none-match", "*")).await.status, 412);
    let tag = server.send(Request::get(CAT)).await.header("etag").to_owned();
    assert_eq!(server.send(with("if-match", "\"1\"")).await.status, 412);
    let overwritten = server.send(with("if-match", &tag)).await;
    assert_eq!(overwritten.status, 200);
    assert_ne!(overwritten.header("etag"), tag);
    assert_eq!(server.send(with("if-match", &tag)).await.status, 412);
    let stale = Request::new("DELETE", CAT).header("if-match", &tag);
    assert_eq!(server.send(stale).await.status, 412);
    assert_eq!(server.send(Request::get(CAT)).await.status, 200);
}

#[tokio::test]
async fn of_many_who_create_the_same_file_one_succeeds_and_the_file_is_wholly_its() {
    let server = Server::start().await;
    let uploads = (0..16_u8).map(|n| {
        let request = Request::new("PUT", CAT)
            .header("if-none-match", "*")
            .body(vec![n; 100_000]);
        server.send(request)
    });
    let answers = futures_util::future::join_all(uploads).await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(created.len(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| [201, 412].contains(&answer.status.as_u16()))
    );
    let read = server.send(Request::get(CAT)).await;
    assert!(read.body.len() == 100_000 && read.body.iter().all(|byte| *byte == read.body[0]));
    assert_eq!(read.header("etag"), created[0].header("etag"));
}

#[tokio::test]
async fn parallel_overwrites_all_succeed_one_after_the_other() {
    let server = Server::start().await;
    put(&server, CAT, "text/plain", "first").await;
    let uploads = (0..16).map(|n| server.send(Request::new("PUT", CAT).body(format!("upload {n}"))));
    let answers = futures_util::future::join_all(uploads).await;
    let mut generations: Vec<i64> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["generation"].as_str().unwrap().parse().unwrap()
        })
        .collect();
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(generations.len(), 16);
    let last = answers
        .iter()
        .max_by_key(|answer| answer.json()["generation"].as_str().unwrap().to_owned())
        .unwrap();
    assert_eq!(
        server.send(Request::get(CAT)).await.header("etag"),
        last.header("etag")
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_publishes_nothing() {
    let server = Server::start().await;
    put(&server, CAT, "text/plain", "old").await;
    let head = format!(
        "PUT {CAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\nonly this",
        server.key
    );
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 2"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(server.send(Request::get(CAT)).await.text(), "old");
}

#[tokio::test]
async fn what_is_overwritten_or_deleted_stays_for_the_history_and_is_collected_afterwards() {
    let server = Server::start().await;
    for n in 0..3 {
        put(&server, CAT, "text/plain", format!("{n}")).await;
    }
    put(&server, "/api/v1/files/main/gone", "text/plain", "x").await;
    server
        .send(Request::new("DELETE", "/api/v1/files/main/gone"))
        .await;
    assert_eq!(server.stored_keys().await.len(), 4);
    assert_eq!(server.files.collect_garbage().await.unwrap(), 0);
    server.clock.advance(8 * 24 * 3600);
    assert_eq!(server.files.collect_garbage().await.unwrap(), 3);
    assert_eq!(server.stored_keys().await.len(), 1);
    assert_eq!(server.send(Request::get(CAT)).await.text(), "2");
}

#[tokio::test]
async fn bytes_that_no_file_names_are_collected_once_they_are_old() {
    let server = Server::start().await;
    put(&server, CAT, "text/plain", "kept").await;
    let kept = server.stored_keys().await;
    put(&server, "/api/v1/files/main/lost", "text/plain", "orphan").await;
    let stored = server.stored_keys().await;
    let lost = stored.iter().find(|key| !kept.contains(key)).unwrap();
    // As a crash between the bytes and the commit leaves them: no document names them.
    forget(
        &server,
        &[
            "_files/main/objects/lost".to_owned(),
            format!("_file_keys/{lost}"),
        ],
    )
    .await;
    assert_eq!(server.files.collect_garbage().await.unwrap(), 0);
    server.clock.advance(25 * 3600);
    assert_eq!(server.files.collect_garbage().await.unwrap(), 1);
    assert_eq!(server.stored_keys().await.len(), 1);
    assert_eq!(server.send(Request::get(CAT)).await.text(), "kept");
}

#[tokio::test]
async fn an_upload_may_take_longer_than_a_request_and_pause_no_longer_than_a_body() {
    const REQUEST_TIME: std::time::Duration = std::time::Duration::from_millis(50);
    let options = andiron_http::HttpOptions {
        request_timeout: REQUEST_TIME,
        ..andiron_http::HttpOptions::default()
    };
    let server = Server::with(options).await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "PUT {CAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: 5\r\n\r\n",
        server.key
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .unwrap();
    let begun = std::time::Instant::now();
    for (number, byte) in (1..).zip(b"12345") {
        // Other requests pass by meanwhile, until the upload has taken much longer than one of them may.
        while begun.elapsed() < REQUEST_TIME * number {
            assert_eq!(server.send(Request::get("/healthz")).await.status, 200);
        }
        tokio::io::AsyncWriteExt::write_all(&mut stream, &[*byte])
            .await
            .unwrap();
    }
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)
        .await
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 201"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn a_file_too_large_is_refused_before_it_is_read_whole() {
    let server = Server::start().await;
    let head = Request::new("PUT", CAT).header("content-length", &(6_u64 << 30).to_string());
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let text = format!(
        "PUT {CAT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        server.key,
        head.headers["content-length"].to_str().unwrap()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes())
        .await
        .unwrap();
    let mut answer = vec![0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer)
        .await
        .unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    drop(stream);
    let mut client = Client::connect(server.address).await;
    let answer = client.send(Request::get("/healthz")).await;
    assert_eq!(answer.status, 200);
}

/// Deletes documents behind the back of those whose they are.
async fn forget(server: &Server, paths: &[String]) {
    let writes = paths.iter().map(|path| Write {
        path: path.parse().unwrap(),
        kind: WriteKind::Delete,
        precondition: Precondition::Exists(true),
    });
    let body = CommitBody {
        writes: writes.collect(),
        ..CommitBody::default()
    };
    server.engine.commit(&Caller::System, body, None).await.unwrap();
}
