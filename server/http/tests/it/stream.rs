//! NDJSON: whole, unlimited, and ended by whoever stops reading.

use std::time::Duration;

use andiron_engine::EngineOptions;
use andiron_http::HttpOptions;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::client::{Client, Request};
use crate::server::Server;

/// Fills a server with documents of about a kilobyte each.
async fn with_many(server: Server, documents: usize) -> Server {
    let all: Vec<_> = (0..documents).collect();
    for chunk in all.chunks(500) {
        let writes: Vec<_> = chunk
            .iter()
            .map(|n| json!({"create": format!("many/m{n:05}"), "data": {"n": n, "text": "x".repeat(1000)}}))
            .collect();
        let answer = server
            .send(Request::new("POST", "/api/v1/commit").json(&json!({"writes": writes})))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    server
}

fn stream(server: &Server, target: &str) -> Request {
    Request::get(target)
        .header("accept", "application/x-ndjson")
        .header("authorization", &format!("Bearer {}", server.key))
}

#[tokio::test]
async fn a_stream_has_every_document_once_beyond_any_page() {
    let server = with_many(Server::start().await, 2500).await;
    let answer = server
        .send_as_it_is(stream(&server, "/api/v1/docs/many?orderBy=-n&select=n"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let documents: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.len(), 2500);
    let expected: Vec<_> = (0..2500).rev().map(|n| json!({"n": n})).collect();
    assert!(
        documents
            .iter()
            .zip(&expected)
            .all(|(document, data)| document["data"] == *data)
    );
    let by_body = Request::new("POST", "/api/v1/query")
        .header("accept", "text/html, application/x-ndjson;q=0.9")
        .json(&json!({"from": "many", "where": ["n", "<", 3]}));
    assert_eq!(server.send(by_body).await.text().lines().count(), 3);
    let none = server.send_as_it_is(stream(&server, "/api/v1/docs/none")).await;
    assert_eq!((none.status.as_u16(), none.text().as_str()), (200, ""));
}

#[tokio::test]
async fn what_is_wrong_from_the_beginning_is_a_problem_and_no_stream() {
    let server = Server::start().await;
    let refused = server
        .send_as_it_is(Request::get("/api/v1/docs/many").header("accept", "application/x-ndjson"))
        .await;
    assert_eq!(refused.code(), "permission-denied");
    let wrong = server
        .send_as_it_is(stream(&server, "/api/v1/docs/many?cursor=nonsense"))
        .await;
    assert_eq!(wrong.code(), "invalid-argument");
    let explained = server
        .send_as_it_is(stream(&server, "/api/v1/docs/many?explain=true"))
        .await;
    assert_eq!(explained.json()["field"], "explain");
}

#[tokio::test]
async fn a_client_that_goes_away_or_stops_reading_gives_its_place_to_the_next() {
    let limits = EngineOptions {
        streams_max: 1,
        ..Default::default()
    };
    let options = HttpOptions {
        write_stall_max: Duration::from_millis(200),
        ..Default::default()
    };
    let server = Server::over(limits, options, andiron_http::router).await;
    let server = with_many(server, 8000).await;
    let mut client = Client::connect(server.address).await;
    let mut unread = client.begin(stream(&server, "/api/v1/docs/many")).await.unwrap();
    unread.body_mut().frame().await.unwrap().unwrap();
    let busy = server.send_as_it_is(stream(&server, "/api/v1/docs/many")).await;
    assert_eq!((busy.status.as_u16(), busy.code().as_str()), (503, "unavailable"));
    assert!(!busy.header("retry-after").is_empty());
    // One goes away, the next stops reading; after each the place is free again.
    drop((unread, client));
    let mut client = Client::connect(server.address).await;
    let mut stopped = begin_when_free(&server, &mut client).await;
    stopped.body_mut().frame().await.unwrap().unwrap();
    let mut last = Client::connect(server.address).await;
    begin_when_free(&server, &mut last).await;
    let rest = stopped.into_body().collect().await;
    assert!(rest.is_err(), "a result that was cut short must not look whole");
}

/// Begins a stream as soon as there is room for it.
async fn begin_when_free(server: &Server, client: &mut Client) -> http::Response<hyper::body::Incoming> {
    loop {
        let response = client.begin(stream(server, "/api/v1/docs/many")).await.unwrap();
        if response.status() == 200 {
            return response;
        }
        assert_eq!(response.status(), 503);
        response.into_body().collect().await.unwrap();
        tokio::task::yield_now().await;
    }
}
