//! Live queries over the wire: a socket of another maker's, and events read byte by byte.

use std::time::Duration;

use andiron_http::HttpOptions;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::{Client, Request};
use crate::server::Server;

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn try_open(
        server: &Server,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, SocketError> {
        let mut socket = Self::connect(server, "/api/v1/live", headers).await?;
        let hello = socket.next().await;
        assert_eq!(hello["op"], "hello");
        assert!(
            hello["version"].is_string() && hello["heartbeat"].is_number(),
            "{hello}"
        );
        Ok(socket)
    }

    /// Opens a socket at a path.
    pub(crate) async fn connect(
        server: &Server,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, SocketError> {
        let mut request = format!("ws://{}{path}", server.address)
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, answer) = connect_async(request).await?;
        if headers.iter().any(|(name, _)| *name == "sec-websocket-protocol") {
            assert_eq!(answer.headers()["sec-websocket-protocol"], "andiron.v1");
        }
        Ok(Self(socket))
    }

    /// By the holder of the service key.
    async fn open(server: &Server) -> Self {
        let bearer = format!("Bearer {}", server.key);
        let headers = [
            ("authorization", bearer.as_str()),
            ("sec-websocket-protocol", "andiron.v1"),
        ];
        Self::try_open(server, &headers).await.unwrap()
    }

    pub(crate) async fn send(&mut self, frame: Json) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame; null once the socket is closed.
    pub(crate) async fn next(&mut self) -> Json {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .expect("a frame comes")
            {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Json::Null,
                Some(Ok(_)) => {}
            }
        }
    }
}

pub(crate) fn said(frame: &Json) -> Vec<String> {
    assert_eq!(frame["op"], "changes", "{frame}");
    let changes = frame["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| match change["type"].as_str().unwrap() {
            "set" => format!("+{}", change["document"]["path"].as_str().unwrap()),
            _ => format!("-{}", change["path"].as_str().unwrap()),
        })
        .collect()
}

pub(crate) async fn put(server: &Server, path: &str, data: Json) {
    let answer = server
        .send(Request::new("PUT", &format!("/api/v1/docs/{path}")).json(&data))
        .await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

pub(crate) async fn delete(server: &Server, path: &str) {
    server
        .send(Request::new("DELETE", &format!("/api/v1/docs/{path}")))
        .await;
}

#[tokio::test]
async fn a_socket_tells_of_queries_and_documents_and_goes_on_from_a_token() {
    let server = Server::start().await;
    put(&server, "posts/p1", json!({"n": 1})).await;
    let mut socket = Socket::open(&server).await;
    socket
        .send(json!({"op": "listen", "id": 7, "query": {"from": "posts", "where": ["n", ">=", 1]}}))
        .await;
    let first = socket.next().await;
    assert_eq!(
        (&first["id"], &first["reset"], &first["more"]),
        (&json!(7), &json!(true), &json!(false))
    );
    assert_eq!(said(&first), ["+posts/p1"]);
    socket
        .send(json!({"op": "listen", "id": 8, "doc": "posts/p2"}))
        .await;
    assert_eq!(said(&socket.next().await), [""; 0]);
    put(&server, "posts/p2", json!({"n": 0})).await;
    let second = socket.next().await;
    assert_eq!(second["id"], 8);
    assert_eq!(said(&second), ["+posts/p2"]);
    socket.send(json!({"op": "unlisten", "id": 8})).await;
    delete(&server, "posts/p1").await;
    let third = socket.next().await;
    assert_eq!((&third["id"], &third["reset"]), (&json!(7), &json!(false)));
    assert_eq!(said(&third), ["-posts/p1"]);
    drop(socket);
    put(&server, "posts/p3", json!({"n": 3})).await;
    let mut socket = Socket::open(&server).await;
    let query = json!({"from": "posts", "where": ["n", ">=", 1]});
    socket
        .send(json!({"op": "listen", "id": 1, "query": query, "resume": third["resume"]}))
        .await;
    let resumed = socket.next().await;
    assert_eq!(resumed["reset"], false);
    assert_eq!(said(&resumed), ["+posts/p3"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_listen_ends_it_and_what_is_wrong_with_a_frame_ends_the_socket() {
    let server = Server::start().await;
    let mut socket = Socket::open(&server).await;
    for listen in [
        json!({"op": "listen", "id": 1, "query": {"from": "posts", "nonsense": 1}}),
        json!({"op": "listen", "id": 1}),
        json!({"op": "listen", "id": 1, "doc": "posts"}),
        json!({"op": "listen", "id": 1, "query": {"from": "posts", "cursor": "none"}}),
    ] {
        socket.send(listen).await;
        let error = socket.next().await;
        assert_eq!((&error["op"], &error["id"]), (&json!("error"), &json!(1)));
        assert_eq!(error["error"]["code"], "invalid-argument", "{error}");
    }
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(socket.next().await["op"], "changes");
    for frame in [
        json!({"op": "dance"}),
        json!({"op": "listen", "query": {"from": "posts"}}),
        json!({"op": "unlisten", "id": 1, "extra": true}),
        json!({"op": "auth"}),
        json!([]),
    ] {
        let mut socket = Socket::open(&server).await;
        socket.send(frame).await;
        let error = socket.next().await;
        assert_eq!(
            (&error["op"], &error["error"]["code"]),
            (&json!("error"), &json!("invalid-argument"))
        );
        assert!(error.get("id").is_none());
        assert_eq!(socket.next().await, Json::Null);
    }
}

#[tokio::test]
async fn a_socket_is_for_websockets_and_not_for_pages_of_other_sites() {
    let server = Server::start().await;
    let answer = server.send(Request::get("/api/v1/live")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (400, "invalid-argument")
    );
    let refused = |error: Option<SocketError>| match error {
        Some(SocketError::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    };
    let foreign = Socket::try_open(&server, &[("origin", "https://evil.example")]).await;
    assert_eq!(refused(foreign.err()), 403);
    let own = format!("http://{}", server.address);
    Socket::try_open(&server, &[("origin", &own)]).await.unwrap();
    let wrong = Socket::try_open(&server, &[("authorization", "Bearer ak_wrong")]).await;
    assert_eq!(refused(wrong.err()), 401);
}

/// Somebody who has signed up: the id, the access token and the refresh token's session.
async fn sign_up(server: &Server, email: &str) -> (String, String) {
    let body = json!({"email": email, "password": "correct horse battery staple"});
    let answer = server
        .send_as_it_is(Request::new("POST", "/api/v1/auth/sign-up").json(&body))
        .await;
    let body = answer.json();
    (
        body["account"]["uid"].as_str().unwrap().to_owned(),
        body["session"]["accessToken"].as_str().unwrap().to_owned(),
    )
}

/// Ends all sessions of an account.
async fn sign_out(server: &Server, uid: &str) {
    let sign_out = Request::new("POST", &format!("/api/v1/admin/accounts/{uid}/sign-out"));
    assert!(server.send(sign_out.json(&json!({}))).await.status.is_success());
}

/// Whoever has signed in may read everything.
fn open_rules() -> std::sync::Arc<andiron_engine::RulesInForce> {
    let text = "rules_version = '2'; service cloud.firestore { match /databases/{db}/documents {
        match /{all=**} { allow read: if request.auth != null; } } }";
    let source = andiron_rules::Source::new("firestore.rules", text).unwrap();
    let program = andiron_rules::Program::single(source);
    let limits = andiron_rules::Limits::default();
    let checked = andiron_rules::check(&program, &limits);
    let ruleset = andiron_rules::Ruleset::new(&program, &checked, limits);
    std::sync::Arc::new(andiron_engine::RulesInForce::new(ruleset, program, "open"))
}

#[tokio::test]
async fn listens_end_with_the_token_and_a_fresh_one_lets_them_begin_again() {
    let server = Server::start().await;
    server.engine.set_rules(Some(open_rules()));
    let (uid, token) = sign_up(&server, "a@x.example").await;
    let mut socket = Socket::try_open(&server, &[]).await.unwrap();
    // Nobody in particular sees nothing.
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(socket.next().await["error"]["code"], "permission-denied");
    socket.send(json!({"op": "auth", "token": token})).await;
    let answer = socket.next().await;
    assert_eq!((&answer["op"], &answer["ok"]), (&json!("auth"), &json!(true)));
    assert!(answer["expires"].is_string());
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(socket.next().await["op"], "changes");
    // Somebody signs the account out.
    sign_out(&server, &uid).await;
    put(&server, "posts/p1", json!({})).await;
    let ended = socket.next().await;
    assert_eq!(
        (&ended["op"], &ended["id"]),
        (&json!("error"), &json!(1)),
        "{ended}"
    );
    assert_eq!(ended["error"]["code"], "unauthenticated");
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(socket.next().await["error"]["code"], "unauthenticated");
    let (_, token) = sign_up(&server, "b@x.example").await;
    socket.send(json!({"op": "auth", "token": token})).await;
    assert_eq!(socket.next().await["op"], "auth");
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(said(&socket.next().await), ["+posts/p1"]);
    // A token that is none ends the socket.
    socket.send(json!({"op": "auth", "token": "none"})).await;
    assert_eq!(socket.next().await["error"]["code"], "unauthenticated");
    assert_eq!(socket.next().await, Json::Null);
}

#[tokio::test]
async fn a_disabled_account_and_an_expired_token_end_listens() {
    let server = Server::with(HttpOptions {
        live_heartbeat: Duration::from_millis(50),
        ..HttpOptions::default()
    })
    .await;
    server.engine.set_rules(Some(open_rules()));
    for how in ["disabled", "expired"] {
        let (uid, token) = sign_up(&server, &format!("{how}@x.example")).await;
        let bearer = format!("Bearer {token}");
        let mut socket = Socket::try_open(&server, &[("authorization", &bearer)])
            .await
            .unwrap();
        socket
            .send(json!({"op": "listen", "id": 1, "doc": "posts/p1"}))
            .await;
        assert_eq!(socket.next().await["op"], "changes");
        if how == "disabled" {
            let disable = Request::new("PATCH", &format!("/api/v1/admin/accounts/{uid}"));
            let answer = server.send(disable.json(&json!({"disabled": true}))).await;
            assert!(answer.status.is_success(), "{}", answer.text());
        } else {
            server.clock.advance(24 * 3600);
        }
        let ended = loop {
            let frame = socket.next().await;
            if frame["op"] != "changes" {
                break frame;
            }
        };
        assert_eq!(ended["error"]["code"], "unauthenticated", "{how}: {ended}");
    }
}

#[tokio::test]
async fn a_server_that_ends_says_good_bye_and_when_to_come_back() {
    let mut server = Server::start().await;
    let mut socket = Socket::open(&server).await;
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    socket.next().await;
    let served = server.shut_down();
    let farewell = socket.next().await;
    assert_eq!(farewell["error"]["code"], "unavailable");
    assert!(farewell["error"]["retryAfter"].as_u64().unwrap() >= 1);
    assert_eq!(socket.next().await, Json::Null);
    tokio::time::timeout(PATIENCE, served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_silent_client_is_dropped_and_one_that_answers_pings_stays() {
    let server = Server::with(HttpOptions {
        live_heartbeat: Duration::from_millis(250),
        ..HttpOptions::default()
    })
    .await;
    let mut socket = Socket::open(&server).await;
    socket
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    let first = socket.next().await;
    put(&server, "drafts/d1", json!({})).await;
    // It is told how far it is, though nothing of it has changed.
    let mark = socket.next().await;
    assert_eq!(said(&mark), [""; 0]);
    assert!(mark["version"].as_str() > first["version"].as_str());
    // The client's library answers pings while somebody reads, here for longer than who answers nothing may stay.
    let mut pings = 0;
    while pings < 3 {
        let received = tokio::time::timeout(PATIENCE, socket.0.next()).await;
        pings += u32::from(matches!(received.unwrap(), Some(Ok(Message::Ping(_)))));
    }
    put(&server, "posts/p1", json!({})).await;
    while said(&socket.next().await).is_empty() {}
    // Read below the library, which so answers nothing any more: in the end the server goes.
    let mut bytes = Vec::new();
    let end = socket.0.get_mut().read_to_end(&mut bytes);
    // How it goes is the system's: it may close or cut off.
    let _ = tokio::time::timeout(PATIENCE, end)
        .await
        .expect("the server goes");
}

/// Attack T64: sockets of nobody that are kept open.
#[tokio::test]
async fn a_socket_on_which_nobody_says_who_they_are_or_listens_is_closed() {
    let server = Server::with(HttpOptions {
        live_introduction_max: Duration::from_millis(100),
        ..HttpOptions::default()
    })
    .await;
    let mut known = Socket::open(&server).await;
    let mut stranger = Socket::try_open(&server, &[]).await.unwrap();
    assert_eq!(stranger.next().await["error"]["code"], "unauthenticated");
    assert_eq!(stranger.next().await, Json::Null);
    // Whose time was over before that.
    known
        .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
        .await;
    assert_eq!(known.next().await["op"], "changes");
}

/// Events as they come.
pub(crate) struct Events {
    body: hyper::body::Incoming,
    text: String,
}

impl Events {
    pub(crate) async fn open(server: &Server, request: Request) -> Self {
        let answer = Client::connect(server.address)
            .await
            .begin(request)
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// The next event's id and data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Json)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines
                        .find_map(|line| line.strip_prefix(name).map(str::to_owned))
                        .unwrap_or_default()
                };
                if event.contains("data: ") {
                    return Some((field("id: "), serde_json::from_str(&field("data: ")).unwrap()));
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .expect("an event comes")?;
            self.text
                .push_str(std::str::from_utf8(frame.ok()?.data_ref().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn events_go_on_by_their_ids() {
    let server = Server::start().await;
    put(&server, "posts/p1", json!({"n": 1, "m": 1})).await;
    let target = "/api/v1/listen?from=posts&filter=n%20%3E%200&orderBy=-n&limit=2&select=n";
    let bearer = format!("Bearer {}", server.key);
    let listen = || {
        Request::get(target)
            .header("authorization", &bearer)
            .header("accept-encoding", "gzip")
    };
    let mut events = Events::open(&server, listen()).await;
    let (_, first) = events.next().await.unwrap();
    assert_eq!(
        (said(&first), &first["reset"]),
        (vec!["+posts/p1".to_owned()], &json!(true))
    );
    assert_eq!(first["changes"][0]["document"]["data"], json!({"n": 1}));
    put(&server, "posts/p2", json!({"n": 2})).await;
    let (id, second) = events.next().await.unwrap();
    assert_eq!(said(&second), ["+posts/p2"]);
    assert_eq!(second["resume"], id);
    drop(events);
    put(&server, "posts/p3", json!({"n": 3})).await;
    let mut events = Events::open(&server, listen().header("last-event-id", &id)).await;
    let (_, resumed) = events.next().await.unwrap();
    assert_eq!(resumed["reset"], false);
    assert_eq!(said(&resumed), ["+posts/p3", "-posts/p1"]);
}

#[tokio::test]
async fn a_ticket_is_good_for_its_listen_alone_and_as_long_as_who_minted_it() {
    let server = Server::start().await;
    server.engine.set_rules(Some(open_rules()));
    let (uid, token) = sign_up(&server, "a@x.example").await;
    let mint = Request::new("POST", "/api/v1/listen/tickets?doc=posts/p1");
    let answer = server
        .send_as_it_is(mint.header("authorization", &format!("Bearer {token}")))
        .await;
    assert_eq!(answer.status, 201);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let listen = || Request::get(&format!("/api/v1/listen?ticket={ticket}"));
    let mut events = Events::open(&server, listen()).await;
    assert_eq!(events.next().await.unwrap().1["reset"], true);
    put(&server, "posts/p1", json!({})).await;
    assert_eq!(said(&events.next().await.unwrap().1), ["+posts/p1"]);
    let other = Request::get(&format!("/api/v1/listen?ticket={ticket}&doc=posts/p2"));
    assert_eq!(server.send_as_it_is(other).await.code(), "invalid-argument");
    assert_eq!(
        server
            .send_as_it_is(Request::get("/api/v1/listen?ticket=lt_x"))
            .await
            .code(),
        "unauthenticated"
    );
    sign_out(&server, &uid).await;
    let (_, end) = events.next().await.unwrap();
    assert_eq!(end["error"]["code"], "unauthenticated");
    assert!(events.next().await.is_none());
    assert_eq!(server.send_as_it_is(listen()).await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_listen_that_is_denied_or_wrong_is_a_problem() {
    let server = Server::start().await;
    for (target, code) in [
        ("/api/v1/listen?from=posts", "permission-denied"),
        ("/api/v1/listen?doc=posts/p1", "permission-denied"),
        ("/api/v1/listen", "invalid-argument"),
        ("/api/v1/listen?from=posts&doc=posts/p1", "invalid-argument"),
        ("/api/v1/listen?doc=posts/p1&limit=1", "invalid-argument"),
        ("/api/v1/listen?from=posts/p1", "invalid-argument"),
        ("/api/v1/listen?group=a/b", "invalid-argument"),
        ("/api/v1/listen?from=posts&token=secret", "invalid-argument"),
    ] {
        let answer = server.send_as_it_is(Request::get(target)).await;
        assert_eq!(answer.code(), code, "{target}");
    }
}
