//! Connections: both versions of HTTP on one port, time limits, and the end.

use std::time::Duration;

use andiron_http::{App, HttpOptions};
use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{Client, Request};
use crate::server::Server;

/// Short enough for a test, long enough not to be met by chance.
const SHORT: Duration = Duration::from_millis(300);
/// What must not be waited for.
const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn http1_and_http2_in_clear_text_share_a_port() {
    let server = Server::start().await;
    let by_key = |request: Request| request.header("authorization", &format!("Bearer {}", server.key));
    let mut old = Client::connect(server.address).await;
    let mut new = Client::connect_http2(server.address).await;
    let put = by_key(Request::new("PUT", "/api/v1/docs/posts/p1").json(&json!({"a": "x".repeat(5000)})));
    assert_eq!(new.send(put).await.status, 201);
    for _ in 0..5 {
        let by_old = old.send(by_key(Request::get("/api/v1/docs/posts/p1"))).await;
        let by_new = new.send(by_key(Request::get("/api/v1/docs/posts/p1"))).await;
        assert_eq!((by_old.status, &by_old.body), (by_new.status, &by_new.body));
        assert_eq!(by_old.header("etag"), by_new.header("etag"));
    }
    let refused = new.send(Request::get("/api/v1/docs/posts/p1")).await;
    assert_eq!(refused.code(), "permission-denied");
    let compressed = new
        .send(by_key(
            Request::get("/api/v1/docs/posts/p1").header("accept-encoding", "zstd"),
        ))
        .await;
    assert_eq!(compressed.header("content-encoding"), "zstd");
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let server = Server::start().await;
    let Client::Http2(sender, authority) = Client::connect_http2(server.address).await else {
        unreachable!()
    };
    let mut answers = tokio::task::JoinSet::new();
    for n in 0..100 {
        let mut client = Client::Http2(sender.clone(), authority.clone());
        let request = Request::new("PUT", &format!("/api/v1/docs/posts/p{n}"))
            .header("authorization", &format!("Bearer {}", server.key))
            .json(&json!({"n": n}));
        answers.spawn(async move { client.send(request).await.status.as_u16() });
    }
    assert!(answers.join_all().await.into_iter().all(|status| status == 201));
}

/// A connection, and how long the server leaves it open after `sent`.
async fn closed_after(server: &Server, sent: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let begun = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    begun.elapsed()
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_closes_the_connection() {
    let options = HttpOptions {
        head_read_timeout: SHORT,
        idle_timeout: LONG,
        ..Default::default()
    };
    let server = Server::with(options).await;
    for sent in [
        &b""[..],
        b"GET /healthz HT",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ",
    ] {
        let open = closed_after(&server, sent).await;
        assert!(open >= SHORT / 2 && open < SHORT * 20, "{open:?}");
    }
    // A byte now and then does not put the end off.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let begun = Instant::now();
    while stream.write_all(b"G").await.is_ok() && begun.elapsed() < SHORT * 20 {
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(begun.elapsed() < SHORT * 20);
    // Nor does a request that was answered before.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    stream.write_all(b"GET /hea").await.unwrap();
    let begun = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    assert!(begun.elapsed() < SHORT * 20);
    assert_eq!(
        server.send(Request::get("/healthz")).await.status,
        200,
        "others are served"
    );
}

#[tokio::test]
async fn a_connection_at_rest_is_closed_when_it_has_rested_long_enough() {
    let options = HttpOptions {
        head_read_timeout: LONG,
        idle_timeout: SHORT,
        ..Default::default()
    };
    let server = Server::with(options).await;
    let open = closed_after(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(open >= SHORT / 2 && open < SHORT * 20, "{open:?}");
    let mut client = Client::connect_http2(server.address).await;
    assert_eq!(client.send(Request::get("/healthz")).await.status, 200);
    let Client::Http2(mut sender, _) = client else {
        unreachable!()
    };
    let begun = Instant::now();
    while sender.ready().await.is_ok() && begun.elapsed() < SHORT * 20 {
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(begun.elapsed() < SHORT * 20);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let options = HttpOptions {
        connections_max: 2,
        ..Default::default()
    };
    let server = Server::with(options.clone()).await;
    let mut first = Client::connect(server.address).await;
    let mut second = Client::connect(server.address).await;
    assert_eq!(first.send(Request::get("/healthz")).await.status, 200);
    assert_eq!(second.send(Request::get("/healthz")).await.status, 200);
    let mut third = Client::connect(server.address).await;
    {
        let mut waiting = Box::pin(third.send(Request::get("/healthz")));
        assert!(
            tokio::time::timeout(SHORT, &mut waiting).await.is_err(),
            "a third connection was served"
        );
        drop(first);
        assert_eq!(waiting.await.status, 200);
    }
    assert_eq!(options.connections.open(), 2);
}

/// A route that says when it is asked, and answers when it is told to.
fn slow_route(asked: mpsc::Sender<mpsc::Sender<()>>) -> impl FnOnce(App) -> Router {
    move |app| {
        let handler = get(move || async move {
            let (answer, mut told) = mpsc::channel(1);
            asked.send(answer).await.unwrap();
            told.recv().await;
            "done"
        });
        andiron_http::gated(&app, "/slow", handler).merge(andiron_http::router(app))
    }
}

#[tokio::test]
async fn shutting_down_finishes_what_was_accepted_and_takes_nothing_new() {
    let (asked, mut asks) = mpsc::channel(2);
    let mut server = Server::serving(HttpOptions::default(), slow_route(asked)).await;
    let mut idle = Client::connect(server.address).await;
    assert_eq!(idle.send(Request::get("/healthz")).await.status, 200);
    let mut old = Client::connect(server.address).await;
    let mut new = Client::connect_http2(server.address).await;
    let by_old = tokio::spawn(async move { old.send(Request::get("/slow")).await });
    let by_new = tokio::spawn(async move { new.send(Request::get("/slow")).await });
    let answers = [asks.recv().await.unwrap(), asks.recv().await.unwrap()];
    let serving = server.shut_down();
    // The idle connection ends at once, new ones are not taken, and the server waits for the others.
    assert!(idle.try_send(Request::get("/healthz")).await.is_err());
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!serving.is_finished());
    for answer in answers {
        answer.send(()).await.unwrap();
    }
    assert_eq!(by_old.await.unwrap().text(), "done");
    assert_eq!(by_new.await.unwrap().text(), "done");
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutting_down_does_not_wait_forever() {
    let (asked, mut asks) = mpsc::channel(1);
    let options = HttpOptions {
        shutdown_timeout: SHORT,
        ..Default::default()
    };
    let mut server = Server::serving(options, slow_route(asked)).await;
    let mut client = Client::connect(server.address).await;
    let request = tokio::spawn(async move { client.try_send(Request::get("/slow")).await });
    let _answer = asks.recv().await.unwrap();
    server.shut_down().await.unwrap().unwrap();
    assert!(request.await.unwrap().is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let router = Router::new().route("/", get(|| async { "here" }));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        andiron_http::serve(listener, router, &HttpOptions::default(), async {
            drop(stopped.await)
        })
        .await
    });
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("here"), "{answer}");
    drop(stop);
    serving.await.unwrap().unwrap();
}
