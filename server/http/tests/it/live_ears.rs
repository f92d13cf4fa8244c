//! One listen, on a socket or as events: what comes is the same.

use serde_json::{Value as Json, json};

use crate::client::Request;
use crate::live::{Events, Socket};
use crate::server::Server;

/// How one listens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transport {
    Socket,
    Events,
}

pub(crate) const TRANSPORTS: [Transport; 2] = [Transport::Socket, Transport::Events];

pub(crate) enum Ear {
    Socket(Box<Socket>),
    Events(Events),
}

impl Ear {
    /// Listens with a token to a target, as it stands in a URL, from a resume token on.
    pub(crate) async fn listen(
        server: &Server,
        transport: Transport,
        token: &str,
        target: &str,
        resume: Option<&str>,
    ) -> Self {
        let bearer = format!("Bearer {token}");
        match transport {
            Transport::Socket => {
                let headers = [("authorization", bearer.as_str())];
                let mut socket = Box::new(Socket::try_open(server, &headers).await.unwrap());
                socket.send(listen_frame(target, resume)).await;
                Self::Socket(socket)
            }
            Transport::Events => {
                let request = Request::get(&format!("/api/v1/listen?{target}"));
                let request = request.header("authorization", &bearer);
                let request = match resume {
                    Some(token) => request.header("last-event-id", token),
                    None => request,
                };
                Self::Events(Events::open(server, request).await)
            }
        }
    }

    /// The next frame; null once there are no more.
    pub(crate) async fn next(&mut self) -> Json {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Events(events) => events.next().await.map_or(Json::Null, |(_, data)| data),
        }
    }
}

/// The frame of a listen with the number 1: `from=…` with `limit`, `orderBy=FIELD`, or `doc=…`.
fn listen_frame(target: &str, resume: Option<&str>) -> Json {
    let mut frame = json!({"op": "listen", "id": 1});
    let mut query = json!({});
    for parameter in target.split('&') {
        match parameter.split_once('=').unwrap() {
            ("doc", path) => frame["doc"] = json!(path),
            ("limit", limit) => query["limit"] = json!(limit.parse::<u32>().unwrap()),
            ("orderBy", field) => query["orderBy"] = json!([[field, "asc"]]),
            (name, value) => query[name] = json!(value),
        }
    }
    if frame.get("doc").is_none() {
        frame["query"] = query;
    }
    if let Some(resume) = resume {
        frame["resume"] = json!(resume);
    }
    frame
}
