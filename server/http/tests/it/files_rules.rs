//! The rules of `service firebase.storage`, on every path to a file.

use std::sync::Arc;

use andiron_engine::{Caller, RulesInForce};
use andiron_protocol::{CommitBody, Map, Precondition, Value, Write, WriteKind};
use andiron_rules::{Limits, Program, Ruleset, Source, check};
use serde_json::json;

use crate::client::{Answer, Request};
use crate::files_upload::put;
use crate::server::Server;

const RULES: &str = "rules_version = '2';
service firebase.storage { match /b/{bucket}/o {
  match /public/{name=**} { allow read; }
  match /owned/{name} {
    allow read, delete: if resource.metadata.owner == 'nobody';
    allow create: if request.resource.metadata.owner == 'nobody' && request.resource.size < 100;
    allow update: if resource.metadata.owner == 'nobody' && request.resource.metadata.owner == resource.metadata.owner;
  }
  match /images/{name} {
    allow create: if request.resource.contentType.matches('image/.*');
  }
  match /once/{name} { allow create: if resource == null; }
  match /known/{name} { allow create: if request.resource.md5Hash == 'SkvkDJasYxTpHZPzgEOmNA=='; }
  match /small/{name} { allow create: if request.resource.size < 10; }
  match /switched/{name} { allow create: if firestore.get(/databases/(default)/documents/switches/s).data.on == true; }
  match /shown/{name} { allow get, list: if resource.metadata.shown == 'yes'; }
} }";

pub(crate) async fn server(rules: Option<&str>) -> Server {
    let server = Server::start().await;
    if let Some(rules) = rules {
        let program = Program::single(Source::new("storage.rules", rules).unwrap());
        let limits = Limits::default();
        let checked = check(&program, &limits);
        assert!(!program.has_errors() && !checked.has_errors());
        let ruleset = Ruleset::new(&program, &checked, limits);
        server
            .engine
            .set_rules(Some(Arc::new(RulesInForce::new(ruleset, program, "1"))));
    }
    server
}

fn file(name: &str) -> String {
    format!("/api/v1/files/main/{name}")
}

async fn anonymous(server: &Server, request: Request) -> Answer {
    server.send_as_it_is(request).await
}

fn upload(name: &str, content_type: &str, owner: &str, bytes: &'static [u8]) -> Request {
    Request::new("PUT", &file(name))
        .header("content-type", content_type)
        .header("x-meta-owner", owner)
        .body(bytes)
}

#[tokio::test]
async fn without_rules_nobody_but_administrators_reaches_a_file() {
    let server = server(None).await;
    put(&server, &file("public/a"), "text/plain", "x").await;
    for request in [
        Request::get(&file("public/a")),
        Request::new("HEAD", &file("public/a")),
        Request::get(&file("none")),
        Request::new("PUT", &file("public/b")).body("x"),
        Request::new("DELETE", &file("public/a")),
        Request::new("PATCH", &file("public/a")).json(&json!({})),
        Request::get("/api/v1/files/main"),
    ] {
        let text = format!("{request:?}");
        assert_eq!(anonymous(&server, request).await.status, 403, "{text}");
    }
}

/// Attack T69: overwriting without the right to.
#[tokio::test]
async fn each_method_is_judged_by_what_is_there_and_what_is_to_be() {
    let server = server(Some(RULES)).await;
    let status = async |request| anonymous(&server, request).await.status.as_u16();
    assert_eq!(
        status(upload("owned/a", "text/plain", "somebody", b"x")).await,
        403
    );
    assert_eq!(status(upload("owned/a", "text/plain", "nobody", b"x")).await, 201);
    assert_eq!(status(Request::get(&file("owned/a"))).await, 200);
    let steal = Request::new("PATCH", &file("owned/a")).json(&json!({"metadata": {"owner": "me"}}));
    assert_eq!(status(steal).await, 403);
    let note = Request::new("PATCH", &file("owned/a")).json(&json!({"metadata": {"note": "x"}}));
    assert_eq!(status(note).await, 200);
    assert_eq!(
        status(upload("owned/a", "text/plain", "nobody", &[b'x'; 200])).await,
        403
    );
    assert_eq!(server.send(Request::get(&file("owned/a"))).await.text(), "x");
    assert_eq!(status(Request::new("DELETE", &file("owned/a"))).await, 204);
    assert_eq!(status(Request::new("DELETE", &file("owned/a"))).await, 403);
    assert_eq!(status(upload("once/a", "text/plain", "", b"x")).await, 201);
    assert_eq!(status(upload("once/a", "text/plain", "", b"x")).await, 403);
}

/// Attack T69: bytes of another type, size or digest than was declared.
#[tokio::test]
async fn what_has_arrived_is_judged_and_not_what_was_declared() {
    let server = server(Some(RULES)).await;
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nxxxx";
    let status = async |request| anonymous(&server, request).await.status.as_u16();
    assert_eq!(status(upload("images/a", "image/png", "", PNG)).await, 201);
    for lie in [
        b"<script>".as_slice(),
        b"<svg onload=x>",
        b"%PDF-1.4",
        b"plain",
        b"MZ\0\0",
    ] {
        let name = "images/lie";
        let is = status(upload(name, "image/png", "", lie)).await;
        // SVG is an image to rules, and a download to browsers.
        assert_eq!(is, if lie.starts_with(b"<svg") { 201 } else { 403 }, "{lie:?}");
        server.send(Request::new("DELETE", &file(name))).await;
    }
    assert_eq!(status(upload("known/a", "text/plain", "", b"meow")).await, 201);
    assert_eq!(status(upload("known/a", "text/plain", "", b"woof")).await, 403);
    // A body that does not say how long it is.
    let chunked = async |bytes: &str| {
        let text = format!(
            "PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{bytes}\r\n0\r\n\r\n",
            file("small/a"),
            bytes.len()
        );
        crate::client::raw(server.address, text.as_bytes()).await
    };
    assert!(chunked("short").await.starts_with("HTTP/1.1 201"));
    assert!(chunked("longer than ten").await.starts_with("HTTP/1.1 403"));
    assert_eq!(server.send(Request::get(&file("small/a"))).await.text(), "short");
}

#[tokio::test]
async fn a_denied_upload_is_refused_before_its_bytes() {
    let server = server(Some(RULES)).await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n",
        file("images/a")
    );
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .unwrap();
    let mut answer = vec![0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer)
        .await
        .unwrap();
    assert_eq!(answer, b"HTTP/1.1 403");
}

#[tokio::test]
async fn hidden_files_answer_like_those_that_are_not_there() {
    let server = server(Some(RULES)).await;
    put(&server, &file("owned/hidden"), "text/plain", "treasure").await;
    for method in ["GET", "HEAD", "DELETE", "PATCH"] {
        for condition in ["", "*", "\"1\""] {
            let mut told = Vec::new();
            for name in ["owned/hidden", "owned/absent"] {
                let mut request = Request::new(method, &file(name)).header("x-request-id", "same");
                if method == "PATCH" {
                    request = request.json(&json!({"metadata": {"a": "b"}}));
                }
                if !condition.is_empty() {
                    request = request.header("if-match", condition);
                }
                let answer = anonymous(&server, request).await;
                let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
                headers.sort();
                told.push((answer.status, answer.text(), headers));
            }
            assert_eq!(told[0].0, 403, "{method}");
            assert_eq!(told[0], told[1], "{method} {condition}");
        }
    }
    // An upload that rules deny does not tell by a condition what is there.
    for name in ["owned/hidden", "owned/absent"] {
        let request = upload(name, "text/plain", "me", b"x").header("if-none-match", "*");
        assert_eq!(anonymous(&server, request).await.status, 403, "{name}");
    }
}

/// Attack T72: lists of what one may not read.
#[tokio::test]
async fn lists_have_what_each_file_allows_and_no_trace_of_the_rest() {
    let server = server(Some(RULES)).await;
    for (name, shown) in [("a", "no"), ("b", "yes"), ("c", "no"), ("d", "yes"), ("e", "no")] {
        let request = Request::new("PUT", &file(&format!("shown/{name}"))).header("x-meta-shown", shown);
        assert_eq!(server.send(request.body("x")).await.status, 201);
    }
    put(&server, &file("hidden/only/x"), "text/plain", "x").await;
    let list = async |query: &str| {
        let answer = anonymous(&server, Request::get(&format!("/api/v1/files/main?{query}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        let files = page["files"].as_array().unwrap().iter();
        let names: Vec<_> = files
            .map(|file| file["name"].as_str().unwrap().to_owned())
            .collect();
        (names, page["folders"].clone(), page["cursor"].clone())
    };
    let both = vec!["shown/b".to_owned(), "shown/d".to_owned()];
    assert_eq!(list("").await, (both.clone(), json!([]), json!(null)));
    assert_eq!(list("limit=2").await, (both, json!([]), json!(null)));
    assert_eq!(
        list("delimiter=/").await,
        (Vec::new(), json!(["shown/"]), json!(null))
    );
    let (first, _, cursor) = list("limit=1").await;
    assert_eq!(first, ["shown/b"]);
    let rest = list(&format!("limit=1&cursor={}", cursor.as_str().unwrap())).await;
    assert_eq!(rest, (vec!["shown/d".to_owned()], json!([]), json!(null)));
}

#[tokio::test]
async fn rules_look_up_documents_as_they_are_when_the_file_is_published() {
    let server = server(Some(RULES)).await;
    let switch = async |on: bool| {
        let data = Map::from([("on".to_owned(), Value::Boolean(on))]);
        let write = Write {
            path: "switches/s".parse().unwrap(),
            kind: WriteKind::Set(data.into()),
            precondition: Precondition::None,
        };
        let body = CommitBody {
            writes: vec![write],
            ..CommitBody::default()
        };
        server.engine.commit(&Caller::System, body, None).await.unwrap();
    };
    let head = |name: &str| {
        format!(
            "PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n1",
            file(name)
        )
    };
    for revoked in [false, true] {
        switch(true).await;
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let name = format!("switched/{revoked}");
        tokio::io::AsyncWriteExt::write_all(&mut stream, head(&name).as_bytes())
            .await
            .unwrap();
        // While the bytes are still coming.
        switch(!revoked).await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"2")
            .await
            .unwrap();
        let mut answer = vec![0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer)
            .await
            .unwrap();
        let expected: &[u8] = if revoked { b"HTTP/1.1 403" } else { b"HTTP/1.1 201" };
        assert_eq!(answer, expected, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn metadata_are_no_documents_of_the_api() {
    let server = server(Some(RULES)).await;
    put(&server, &file("public/a"), "text/plain", "x").await;
    for target in [
        "/api/v1/docs/_files/main/objects/public%1Fa",
        "/api/v1/docs/_file_keys",
    ] {
        assert_eq!(server.send(Request::get(target)).await.status, 403, "{target}");
    }
}
