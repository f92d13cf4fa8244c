//! Live queries as a browser has them: a plain `EventSource` and a plain `WebSocket` in a page of another origin.

use andiron_http::HttpOptions;
use serde_json::{Value, json};

use crate::browser::{self, Browser, serve_page};
use crate::client::Request;
use crate::live::put;
use crate::server::Server;

/// A page that notes what it is told, and lets whoever drives it wait until that is so much.
const PAGE: &str = "<!doctype html><title>Page</title><script>
const told = [];
let waiting = [];
function note(what) {
  told.push(what);
  waiting = waiting.filter(({count, resolve}) => told.length < count || resolve(told));
}
function atLeast(count) {
  return new Promise((resolve) => {
    waiting.push({count, resolve: (all) => { resolve(all); return false; }});
    waiting = waiting.filter(({count, resolve}) => told.length < count || resolve(told));
  });
}
function brief(frame) {
  return frame.changes.map((change) => change.type === 'set' ? `+${change.document.id}` : `-${change.path}`);
}
let source;
function listen(url) {
  source = new EventSource(url);
  source.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    note({reset: frame.reset, changes: brief(frame), id: event.lastEventId === frame.resume});
  };
  source.addEventListener('end', (event) => { source.close(); note({end: JSON.parse(event.data).error.code}); });
}
function speak(url, token) {
  const socket = new WebSocket(url, 'andiron.v1');
  socket.onopen = () => {
    socket.send(JSON.stringify({op: 'auth', token}));
    socket.send(JSON.stringify({op: 'listen', id: 7, query: {from: 'posts', orderBy: [['n', 'desc']], limit: 2}}));
  };
  socket.onmessage = ({data}) => {
    const frame = JSON.parse(data);
    if (frame.op !== 'changes') return;
    const lengths = frame.changes.map((change) => change.document?.data.text.length ?? 0);
    const compressed = socket.extensions.startsWith('permessage-deflate');
    note({reset: frame.reset, changes: brief(frame), lengths, protocol: socket.protocol, compressed});
  };
}
</script>";

async fn opened() -> (Browser, Server) {
    let port = serve_page(PAGE).await;
    let origin = format!("http://localhost:{port}");
    let server = Server::with(HttpOptions {
        cors_origins: vec![origin.parse().unwrap()],
        ..HttpOptions::default()
    })
    .await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{origin}/")).await;
    (browser, server)
}

async fn told(browser: &mut Browser, count: usize) -> Value {
    browser.evaluate(&format!("atLeast({count})")).await
}

#[tokio::test]
async fn an_event_source_with_a_ticket_is_told_and_goes_on_by_itself() {
    if browser::is_left_out() {
        return;
    }
    let (mut browser, server) = opened().await;
    put(&server, "posts/p1", json!({"n": 1})).await;
    let minted = server
        .send(Request::new("POST", "/api/v1/listen/tickets?from=posts"))
        .await
        .json();
    let url = format!(
        "http://{}/api/v1/listen?ticket={}",
        server.address,
        minted["ticket"].as_str().unwrap()
    );
    browser.evaluate(&format!("listen({})", json!(url))).await;
    let first = json!({"reset": true, "changes": ["+p1"], "id": true});
    assert_eq!(told(&mut browser, 1).await, json!([first]));
    put(&server, "posts/p2", json!({"n": 2})).await;
    let second = json!({"reset": false, "changes": ["+p2"], "id": true});
    assert_eq!(told(&mut browser, 2).await, json!([first, second]));
    browser.close().await;
}

#[tokio::test]
async fn a_socket_of_a_page_signs_in_by_its_first_frame_and_takes_compressed_ones() {
    if browser::is_left_out() {
        return;
    }
    let (mut browser, server) = opened().await;
    for n in 1..=3 {
        let text = "iron and ember ".repeat(1000 * n);
        put(&server, &format!("posts/p{n}"), json!({"n": n, "text": text})).await;
    }
    let (url, key) = (format!("ws://{}/api/v1/live", server.address), &server.key);
    browser
        .evaluate(&format!("speak({}, {})", json!(url), json!(key)))
        .await;
    let step = |reset: bool, changes: [&str; 2], lengths: [u32; 2]| json!({"reset": reset, "changes": changes, "lengths": lengths, "protocol": "andiron.v1", "compressed": true});
    let first = step(true, ["+p3", "+p2"], [45_000, 30_000]);
    assert_eq!(told(&mut browser, 1).await, json!([first]));
    put(&server, "posts/p3", json!({"n": 0, "text": ""})).await;
    let second = step(false, ["+p1", "-posts/p3"], [15_000, 0]);
    assert_eq!(told(&mut browser, 2).await, json!([first, second]));
    browser.close().await;
}
