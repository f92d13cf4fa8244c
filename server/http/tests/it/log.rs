//! The log: what it has of each request, and what it never has.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;

use andiron_http::HttpOptions;
use axum::routing::get;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::client::Request;
use crate::server::Server;

thread_local! {
    /// The log of the test that runs on this thread. The server of a test runs on the test's own thread.
    static CURRENT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What is written down for one test.
struct Log;

impl Log {
    /// Writes down from now on every event of ours on this thread, at every level.
    fn begin() -> Self {
        static ONCE: Once = Once::new();
        // One subscriber for all tests: which events anybody cares for is remembered for the whole process, so that
        // subscribers which come and go would take events from each other.
        ONCE.call_once(|| tracing::subscriber::set_global_default(Forward).unwrap());
        CURRENT.set(Some(String::new()));
        Self
    }

    fn text(&self) -> String {
        CURRENT.with_borrow(|log| log.clone().unwrap())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

fn write_down(text: &str) {
    CURRENT.with_borrow_mut(|log| {
        if let Some(log) = log {
            log.push_str(text);
        }
    });
}

/// Gives events to the test of their thread.
struct Forward;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("andiron")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        write_down(&line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        write_down(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!(
            "{} {}",
            event.metadata().level(),
            event.metadata().target()
        ));
        event.record(&mut line);
        write_down(&(line.0 + "\n"));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_request_is_one_line_without_urls_tokens_or_bodies() {
    let log = Log::begin();
    let server = Server::start().await;
    let put = Request::new("PUT", "/api/v1/docs/diary/the-third-of-may").header("x-request-id", "req-1");
    server.send(put.body(r#"{"text":"dear diary"}"#)).await;
    let list = Request::get("/api/v1/docs/diary?filter=text%3D%3D%22dear%22&cursor=a-cursor")
        .header("x-request-id", "req-2");
    server.send(list).await;
    let token = format!("/api/v1/docs/diary?access_token={}", server.key);
    server
        .send_as_it_is(Request::get(&token).header("x-request-id", "req-3"))
        .await;
    server
        .send(Request::get("/some-path/nobody-knows").header("user-agent", "an-agent"))
        .await;
    let text = log.text();
    for (id, parts) in [
        (
            "req-1",
            [
                "method=\"PUT\"",
                "route=\"/api/v1/docs/{path}\"",
                "status=201",
                "caller=\"service-key\"",
            ],
        ),
        (
            "req-2",
            [
                "method=\"GET\"",
                "route=\"/api/v1/docs/{path}\"",
                "status=400",
                "duration_micros=",
            ],
        ),
        (
            "req-3",
            [
                "method=\"GET\"",
                "route=\"/api/v1/docs/{path}\"",
                "status=400",
                "caller=\"anonymous\"",
            ],
        ),
    ] {
        let lines: Vec<_> = text.lines().filter(|line| line.contains(id)).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(parts.iter().all(|part| lines[0].contains(part)), "{}", lines[0]);
    }
    for private in [
        &server.key,
        "diary/",
        "third",
        "dear",
        "cursor=",
        "access_token",
        "nobody-knows",
        "agent",
    ] {
        assert!(!text.contains(private), "the log has `{private}`:\n{text}");
    }
}

#[tokio::test]
async fn a_denial_says_in_the_log_why() {
    let log = Log::begin();
    let server = Server::start().await;
    let get = Request::get("/api/v1/docs/diary/today").header("x-request-id", "req-1");
    assert_eq!(server.send_as_it_is(get).await.status, 403);
    let text = log.text();
    let line = text
        .lines()
        .find(|line| line.contains("a request was denied"))
        .unwrap();
    for part in [
        "INFO",
        "request_id=\"req-1\"",
        "route=\"/api/v1/docs/{path}\"",
        "denial=\"no rules are in force\"",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test]
async fn a_failure_says_in_the_log_what_the_answer_does_not() {
    let log = Log::begin();
    let broken = get(|| async {
        if true {
            panic!("the wheel came off");
        }
    });
    let server = Server::serving(HttpOptions::default(), |app| {
        andiron_http::gated(&app, "/broken", broken).merge(andiron_http::router(app))
    })
    .await;
    let answer = server
        .send(Request::get("/broken").header("x-request-id", "req-9"))
        .await;
    assert!(!answer.text().contains("wheel"));
    let text = log.text();
    let line = text.lines().find(|line| line.starts_with("ERROR")).unwrap();
    assert!(
        line.contains("req-9") && line.contains("the wheel came off"),
        "{line}"
    );
}
