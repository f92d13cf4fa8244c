//! Failures of the server's own: each a problem without internals, and the process goes on.

use std::time::Duration;

use andiron_engine::EngineOptions;
use andiron_http::{App, HttpOptions};
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::Request;
use crate::server::Server;

/// The router with a route beside the others, behind a gate like theirs.
fn with_route(path: &'static str, handler: axum::routing::MethodRouter) -> impl FnOnce(App) -> Router {
    move |app| andiron_http::gated(&app, path, handler).merge(andiron_http::router(app))
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_the_connection_goes_on() {
    async fn panics() -> &'static str {
        panic!("the secret of the stars is {}", 42)
    }
    let server = Server::serving(HttpOptions::default(), with_route("/panic", get(panics))).await;
    let mut client = crate::client::Client::connect(server.address).await;
    for _ in 0..3 {
        let answer = client.send(Request::get("/panic")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (500, "internal")
        );
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(client.send(Request::get("/healthz")).await.status, 200);
    let metrics = server.send(Request::get("/metrics")).await.text();
    assert!(
        metrics.contains("route=\"/panic\",method=\"GET\",status=\"500\"} 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_a_504() {
    let options = HttpOptions {
        request_timeout: Duration::from_millis(50),
        ..Default::default()
    };
    let forever = get(|| async { std::future::pending::<&'static str>().await });
    let server = Server::serving(options, with_route("/forever", forever)).await;
    let answer = server.send(Request::get("/forever")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (504, "deadline-exceeded")
    );
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408() {
    let options = HttpOptions {
        body_pause_max: Duration::from_millis(50),
        ..Default::default()
    };
    let server = Server::with(options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "PUT /api/v1/docs/posts/p1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{\"a\":",
        server.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("deadline-exceeded"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let server = Server::start().await;
    let head = format!(
        "PUT /api/v1/docs/posts/p1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{}}",
        server.key
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert_eq!(
        server.send(Request::get("/api/v1/docs/posts/p1")).await.status,
        404
    );
}

#[tokio::test]
async fn an_engine_that_has_stopped_is_503_with_a_time_to_come_back() {
    let server = Server::start().await;
    server.engine.close();
    let answer = server
        .send(Request::new("PUT", "/api/v1/docs/posts/p1").body("{}"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "unavailable")
    );
    assert_eq!(
        answer.header("retry-after"),
        answer.json()["retryAfter"].to_string()
    );
    assert_eq!(
        server.send_as_it_is(Request::get("/readyz")).await.code(),
        "unavailable"
    );
    assert_eq!(server.send_as_it_is(Request::get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn a_query_that_reads_more_than_it_may_is_a_429_that_says_what_would_help() {
    let mut limits = EngineOptions::default();
    limits.query.reads_max = 10;
    let server = Server::over(limits, HttpOptions::default(), andiron_http::router).await;
    for n in 0..20 {
        let put = Request::new("PUT", &format!("/api/v1/docs/posts/p{n}"));
        server.send(put.body(format!("{{\"n\":{n}}}"))).await;
    }
    let answer = server
        .send(Request::get("/api/v1/docs/posts?filter=n%3E18"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (429, "resource-exhausted")
    );
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_as_499() {
    let (asked, mut asks) = tokio::sync::mpsc::channel::<()>(1);
    let handler = get(move || async move {
        asked.send(()).await.unwrap();
        std::future::pending::<&'static str>().await
    });
    let server = Server::serving(HttpOptions::default(), with_route("/forever", handler)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /forever HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    asks.recv().await.unwrap();
    drop(stream);
    let counted = "route=\"/forever\",method=\"GET\",status=\"499\"} 1";
    let begun = std::time::Instant::now();
    while !server
        .send(Request::get("/metrics"))
        .await
        .text()
        .contains(counted)
    {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the request is still under way"
        );
    }
}
