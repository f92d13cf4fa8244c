//! One listen as Server-Sent Events: the resume token is the event's id, so an `EventSource` goes on by itself.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use andiron_engine::{LiveConnection, LiveMessage, LiveTarget};
use andiron_protocol::ErrorCode;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::frames;
use super::session::Session;
use crate::app::AppRef;
use crate::problem::ApiError;
use crate::server::ConnectionLife;

/// Events on their way to the socket.
pub(super) const EVENTS_MAX: usize = 2;
/// Bytes of messages that go out together, about.
const WRITE_BYTES: usize = 64 * 1024;
/// The number of the one listen.
const LISTEN: u64 = 0;

/// What one listens to.
#[derive(Clone)]
pub(crate) struct Listen {
    pub(crate) target: LiveTarget,
}

/// Answers with events. Until there is a first one the answer can still be a problem.
pub(crate) async fn events(
    app: AppRef,
    mut session: Session,
    listen: Listen,
    resume: Option<&str>,
    life: Option<Arc<ConnectionLife>>,
) -> Result<Response, ApiError> {
    let connection = app.engine.live();
    connection.listen(LISTEN, session.caller(), listen.target, resume)?;
    let first = loop {
        let Some(mut messages) = connection.next_batch(1).await else {
            return Err(ApiError::from(andiron_engine::EngineError::Closed));
        };
        session.revise(&connection, &mut messages)?;
        if !messages.is_empty() {
            break messages;
        }
    };
    let mut text = Vec::new();
    for message in first {
        match message {
            LiveMessage::Changes(changes) => event(&changes, &mut text),
            LiveMessage::Ended { error, .. } => return Err(error.into()),
        }
    }
    let mut seed = [0];
    app.engine.fill_random(&mut seed);
    // Clients that lose their connections together come back one after the other.
    let retry = format!("retry: {}\n\n", 1000 + 8 * u32::from(seed[0]));
    let first = [retry.as_bytes(), &text].concat();
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(async move {
        let sending = Sending {
            stall_max: app.options.write_stall_max,
            sender: sender.clone(),
        };
        if sending.send(first).await {
            tokio::select! {
                () = tell(&app, &mut session, &connection, life.as_deref(), &sending) => {}
                // Nobody is reading any more.
                () = sender.closed() => {}
            }
        }
    });
    let mut response = Response::new(Body::new(Events(receiver)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The way to whoever reads an answer.
pub(super) struct Sending {
    pub(super) stall_max: Duration,
    pub(super) sender: mpsc::Sender<Bytes>,
}

impl Sending {
    /// Whether somebody took it.
    pub(super) async fn send(&self, text: Vec<u8>) -> bool {
        let sent = timeout(self.stall_max, self.sender.send(Bytes::from(text))).await;
        matches!(sent, Ok(Ok(())))
    }
}

async fn tell(
    app: &AppRef,
    session: &mut Session,
    connection: &LiveConnection,
    life: Option<&ConnectionLife>,
    sending: &Sending,
) {
    let mut heartbeat = interval(app.options.live_heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.tick().await;
    let ending = async {
        match life {
            Some(life) => life.ending().await,
            None => std::future::pending().await,
        }
    };
    let mut ending = std::pin::pin!(ending);
    loop {
        let text = tokio::select! {
            biased;
            () = session.disturbed() => match session.revise(connection, &mut Vec::new()) {
                Ok(()) => continue,
                Err(error) => {
                    sending.send(end(&error.into())).await;
                    return;
                }
            },
            // An `EventSource` comes back by itself.
            () = ending.as_mut() => return,
            _ = heartbeat.tick() => {
                connection.mark();
                b": heartbeat\n\n".to_vec()
            }
            messages = connection.next_batch(WRITE_BYTES) => {
                let Some(mut messages) = messages else {
                    return;
                };
                if session.is_disturbed()
                    && let Err(error) = session.revise(connection, &mut messages)
                {
                    sending.send(end(&error.into())).await;
                    return;
                }
                if messages.is_empty() {
                    continue;
                }
                let mut text = Vec::new();
                for message in messages {
                    match message {
                        LiveMessage::Changes(changes) => event(&changes, &mut text),
                        LiveMessage::Ended { error, .. } => {
                            text.extend_from_slice(&end(&error.into()));
                            sending.send(text).await;
                            return;
                        }
                    }
                }
                text
            }
        };
        if !sending.send(text).await {
            return;
        }
    }
}

/// A step, or a part of one. Only a whole one has an id: there is no going on from the middle.
fn event(changes: &andiron_engine::LiveChanges, text: &mut Vec<u8>) {
    if !changes.more {
        text.extend_from_slice(format!("id: {}\n", changes.resume).as_bytes());
    }
    let (before, after) = frames::around_changes(changes, false);
    for part in [
        b"data: ",
        before.as_bytes(),
        &changes.changes,
        after.as_bytes(),
        b"\n\n",
    ] {
        text.extend_from_slice(part);
    }
}

/// The last event: an `EventSource` would come back otherwise, to be refused.
fn end(error: &ApiError) -> Vec<u8> {
    let problem = error.to_problem();
    if problem.code == ErrorCode::Internal {
        tracing::error!(cause = error.cause(), "a listen failed");
    }
    format!("event: end\ndata: {}\n\n", frames::error(None, &problem)).into_bytes()
}

/// The events as a body.
pub(super) struct Events(pub(super) mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0
            .poll_recv(context)
            .map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
