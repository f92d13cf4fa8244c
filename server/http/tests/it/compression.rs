//! Compression over HTTP: when, how, and that what arrives is what was sent.

use std::io::Read as _;

use andiron_http::HttpOptions;
use serde_json::json;

use crate::client::{Answer, Request};
use crate::server::Server;

const LARGE: &str = "/api/v1/docs/posts/large";

async fn with_documents() -> Server {
    let server = Server::start().await;
    server
        .send(Request::new("PUT", "/api/v1/docs/posts/small").json(&json!({"a": "x".repeat(100)})))
        .await;
    server
        .send(Request::new("PUT", LARGE).json(&json!({"a": "lorem ipsum ".repeat(400)})))
        .await;
    server
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        "zstd" => plain = zstd::decode_all(answer.body.as_ref()).unwrap(),
        "br" => drop(
            brotli::Decompressor::new(answer.body.as_ref(), 4096)
                .read_to_end(&mut plain)
                .unwrap(),
        ),
        "gzip" => drop(
            flate2::read::GzDecoder::new(answer.body.as_ref())
                .read_to_end(&mut plain)
                .unwrap(),
        ),
        other => panic!("`{other}` is no coding of ours"),
    }
    plain
}

#[tokio::test]
async fn large_answers_are_compressed_as_the_client_likes_it() {
    let server = with_documents().await;
    let plain = server.send(Request::get(LARGE)).await;
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.header("vary"), "accept-encoding");
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("zstd;q=0.1, gzip", "gzip"),
    ] {
        let answer = server
            .send(Request::get(LARGE).header("accept-encoding", accepted))
            .await;
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert!(answer.body.len() < plain.body.len() / 4);
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert_eq!(decoded(&answer), plain.body);
        assert_eq!(answer.header("etag"), plain.header("etag"));
        assert_eq!(answer.header("vary"), "accept-encoding");
    }
    for accepted in ["identity", "gzip;q=0", "deflate"] {
        let answer = server
            .send(Request::get(LARGE).header("accept-encoding", accepted))
            .await;
        assert_eq!(
            (answer.header("content-encoding"), &answer.body),
            ("", &plain.body),
            "{accepted}"
        );
    }
}

#[tokio::test]
async fn small_answers_stay_as_they_are() {
    let server = with_documents().await;
    for target in ["/api/v1/docs/posts/small", "/healthz", "/nowhere"] {
        let answer = server
            .send(Request::get(target).header("accept-encoding", "gzip"))
            .await;
        assert_eq!(answer.header("content-encoding"), "", "{target}");
    }
}

#[tokio::test]
async fn a_conditional_request_works_with_the_tag_of_a_compressed_answer() {
    let server = with_documents().await;
    let first = server
        .send(Request::get(LARGE).header("accept-encoding", "br"))
        .await;
    let again = Request::get(LARGE)
        .header("accept-encoding", "br")
        .header("if-none-match", first.header("etag"));
    assert_eq!(server.send(again).await.status, 304);
    let write = Request::new("PATCH", LARGE)
        .header("if-match", first.header("etag"))
        .body("{}");
    assert_eq!(server.send(write).await.status, 200);
}

#[tokio::test]
async fn pages_too_large_for_one_piece_and_streams_are_compressed_as_they_go() {
    let server = with_documents().await;
    for n in 0..100 {
        let target = format!("/api/v1/docs/many/m{n:03}");
        server
            .send(Request::new("PUT", &target).json(&json!({"text": format!("{n} ").repeat(500)})))
            .await;
    }
    for accept in ["application/json", "application/x-ndjson"] {
        let request = Request::get("/api/v1/docs/many?limit=100").header("accept", accept);
        let plain = server.send(request.clone()).await;
        assert!(plain.body.len() > 100_000);
        for coding in ["zstd", "br", "gzip"] {
            let answer = server
                .send(request.clone().header("accept-encoding", coding))
                .await;
            assert_eq!(answer.header("content-encoding"), coding);
            assert_eq!(decoded(&answer), plain.body, "{accept} {coding}");
        }
    }
}

#[tokio::test]
async fn compression_can_be_turned_off() {
    let server = Server::with(HttpOptions {
        compression: false,
        ..Default::default()
    })
    .await;
    let answer = server
        .send(Request::get("/api/v1/openapi.json").header("accept-encoding", "gzip"))
        .await;
    assert_eq!(answer.header("content-encoding"), "");
}
