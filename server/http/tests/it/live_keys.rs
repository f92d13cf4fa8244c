//! Service keys that end while somebody listens by them: on every way to follow changes.

use std::time::Duration;

use andiron_auth::{ClientInfo, NewKey, ServiceKeys};
use andiron_engine::Caller;
use andiron_http::HttpOptions;
use andiron_protocol::Timestamp;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use crate::client::Request;
use crate::live::{Events, Socket, delete, put};
use crate::server::Server;

/// Somebody who follows changes by a key, in one of the ways there are.
enum Follower {
    Socket(Box<Socket>),
    Events(Events),
}

impl Follower {
    const WAYS: [&str; 4] = ["live", "listen", "changes by socket", "changes by events"];

    async fn start(server: &Server, way: &str, key: &str) -> Self {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let events = |target: &str| {
            Request::get(target)
                .header("accept", "text/event-stream")
                .header("authorization", &bearer)
        };
        match way {
            "live" => {
                let mut socket = Socket::try_open(server, &headers).await.unwrap();
                socket
                    .send(json!({"op": "listen", "id": 1, "query": {"from": "posts"}}))
                    .await;
                Self::Socket(Box::new(socket))
            }
            "listen" => Self::Events(Events::open(server, events("/api/v1/listen?from=posts")).await),
            "changes by socket" => {
                let socket = Socket::connect(server, "/api/v1/changes", &headers).await;
                Self::Socket(Box::new(socket.unwrap()))
            }
            _ => Self::Events(Events::open(server, events("/api/v1/changes")).await),
        }
    }

    /// The next frame; null once the connection has ended.
    async fn next(&mut self) -> Json {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Events(events) => events.next().await.map_or(Json::Null, |(_, frame)| frame),
        }
    }

    /// Waits until a document has been told of.
    async fn hears_of(&mut self, path: &str, way: &str) {
        loop {
            let frame = self.next().await;
            assert!(!frame.is_null() && frame["error"].is_null(), "{way}: {frame}");
            if frame.to_string().contains(path) {
                return;
            }
        }
    }

    /// The error that it ends with, before which it must not have been told of this document.
    async fn end(mut self, place: String, hidden: &str) -> (String, Json) {
        loop {
            let frame = self.next().await;
            assert!(!frame.to_string().contains(hidden), "{place}: {frame}");
            assert!(!frame.is_null(), "{place}: it ended without a word");
            if !frame["error"].is_null() {
                return (place, frame["error"]["code"].clone());
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_or_has_ended_hears_no_more_in_whichever_way_it_follows() {
    const AFTERWARDS: &str = "posts/afterwards";
    let server = Server::with(HttpOptions {
        live_heartbeat: Duration::from_millis(250),
        ..HttpOptions::default()
    })
    .await;
    let keys = ServiceKeys::new(server.engine.clone());
    let (owner, client) = (Caller::Owner, ClientInfo::default());
    for how in ["revoked", "ended"] {
        let in_an_hour = server.engine.now().as_micros() + 3_600_000_000;
        let new = NewKey {
            expires: (how == "ended").then(|| Timestamp::from_micros_clamped(in_an_hour)),
            ..NewKey::for_everything(how)
        };
        let created = keys.create(new, &owner, &client).await.unwrap();
        let mut followers = JoinSet::new();
        for way in Follower::WAYS {
            let mut follower = Follower::start(&server, way, created.key.expose()).await;
            let path = format!("posts/{how}-{}", followers.len());
            put(&server, &path, json!({})).await;
            follower.hears_of(&path, way).await;
            followers.spawn(follower.end(format!("{how}, {way}"), AFTERWARDS));
        }
        if how == "revoked" {
            keys.revoke(how, &owner, &client).await.unwrap();
        } else {
            server.clock.advance(3601);
        }
        put(&server, AFTERWARDS, json!({"n": how})).await;
        for (place, code) in followers.join_all().await {
            assert_eq!(code, "unauthenticated", "{place}");
        }
        delete(&server, AFTERWARDS).await;
        let bearer = format!("Bearer {}", created.key.expose());
        let again = Request::get("/api/v1/changes?wait=0").header("authorization", &bearer);
        assert_eq!(server.send_as_it_is(again).await.status, 401, "{how}");
    }
}
