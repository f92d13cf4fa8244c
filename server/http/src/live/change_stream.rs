//! The change feed on the wire: as events, on a socket, or as lines until there is nothing more for the moment.
//!
//! What is sent is read from the log when the one before has gone out, so a client that reads slowly holds up nobody and
//! fills nothing.

use std::sync::Arc;

use andiron_engine::{ChangeFeed, ChangePart, EngineError};
use andiron_protocol::{ErrorCode, Source, Version};
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::events::{EVENTS_MAX, Events, Sending};
use super::frames;
use super::session::Session;
use super::websocket::{Frames, Incoming, WebSocket, close_code};
use crate::app::AppRef;
use crate::ndjson::NDJSON;
use crate::problem::ApiError;
use crate::server::ConnectionLife;

/// Bytes after which an answer of lines ends at the next commit; the client comes back for more.
const LINES_BYTES: usize = 4 * 1024 * 1024;

/// A feed with whoever follows it.
pub(crate) struct Following {
    app: AppRef,
    session: Session,
    sources: Vec<Source>,
    feed: ChangeFeed,
    life: Option<Arc<ConnectionLife>>,
    heartbeat: Interval,
    /// The position that the client was last told.
    told: Version,
}

/// What comes next.
enum Step {
    Parts(Vec<ChangePart>),
    /// Nothing, for some time.
    Beat,
    /// No more. Without an error the server ends, and the client may come back.
    End(Option<ApiError>),
}

impl Following {
    /// Begins to follow.
    ///
    /// # Errors
    /// If the caller may not, or the log does not reach back to where the client was.
    pub(crate) fn begin(
        app: &AppRef,
        session: Session,
        sources: Vec<Source>,
        after: Option<Version>,
        life: Option<Arc<ConnectionLife>>,
    ) -> Result<Self, ApiError> {
        let feed = app
            .engine
            .follow_changes(session.caller(), &sources, after)
            .map_err(ApiError::of_feed)?;
        let mut heartbeat = interval(app.options.live_heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        Ok(Self {
            app: AppRef::clone(app),
            session,
            sources,
            told: feed.after(),
            feed,
            life,
            heartbeat,
        })
    }

    async fn step(&mut self) -> Step {
        let ending = async {
            match &self.life {
                Some(life) => life.ending().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.session.disturbed() => match self.look(self.feed.after()) {
                Ok(_) => Step::Beat,
                Err(error) => Step::End(Some(error)),
            },
            () = ending => Step::End(None),
            _ = self.heartbeat.tick() => Step::Beat,
            parts = self.feed.next() => match parts {
                Ok(parts) => self.found(parts),
                Err(EngineError::Closed) => Step::End(None),
                Err(error) => Step::End(Some(ApiError::of_feed(error))),
            },
        }
    }

    /// What there is already, perhaps nothing.
    async fn step_now(&mut self) -> Step {
        tokio::select! {
            biased;
            () = self.session.disturbed() => match self.look(self.feed.after()) {
                Ok(_) => Step::Beat,
                Err(error) => Step::End(Some(error)),
            },
            parts = self.feed.now() => match parts {
                Ok(parts) => self.found(parts),
                Err(error) => Step::End(Some(ApiError::of_feed(error))),
            },
        }
    }

    /// Whether everything that is in the log has been looked at.
    fn has_all(&self) -> bool {
        self.app
            .engine
            .version()
            .is_ok_and(|newest| newest <= self.feed.after())
    }

    /// What was found in the log, unless the rights to it have ended: it may have been committed after that.
    fn found(&mut self, parts: Vec<ChangePart>) -> Step {
        match self.look(self.told) {
            Ok(false) => Step::Parts(parts),
            Ok(true) => Step::Beat,
            Err(error) => Step::End(Some(error)),
        }
    }

    /// Looks at the credentials again. Somebody else goes on after this version, if they may; gives whether it is somebody
    /// else.
    fn look(&mut self, after: Version) -> Result<bool, ApiError> {
        let Some(caller) = self.session.check()? else {
            return Ok(false);
        };
        self.feed = self
            .app
            .engine
            .follow_changes(caller, &self.sources, Some(after))
            .map_err(ApiError::of_feed)?;
        Ok(true)
    }

    /// Notes what the client is told.
    fn telling(&mut self, part: &ChangePart) {
        if !part.more {
            self.told = part.version;
        }
    }

    /// The position, if the client does not know it: what was committed since concerns it not.
    fn mark(&mut self) -> Option<Version> {
        let after = self.feed.after();
        let is_new = after > self.told;
        self.told = after;
        is_new.then_some(after)
    }

    /// Answers with events.
    pub(crate) fn events(mut self) -> Response {
        let (sending, response) = stream(&self.app, "text/event-stream");
        tokio::spawn(async move {
            loop {
                let step = tokio::select! {
                    step = self.step() => step,
                    () = sending.sender.closed() => return,
                };
                let mut text = Vec::new();
                let mut is_last = false;
                match step {
                    Step::Parts(parts) => {
                        for part in &parts {
                            self.telling(part);
                            event(part, &mut text);
                        }
                    }
                    Step::Beat => match self.mark() {
                        Some(version) => event(&nothing_until(version), &mut text),
                        None => text.extend_from_slice(b": heartbeat\n\n"),
                    },
                    // An `EventSource` comes back by itself.
                    Step::End(None) => return,
                    Step::End(Some(error)) => {
                        let frame = frames::error(None, &problem_of(&error));
                        text.extend_from_slice(format!("event: end\ndata: {frame}\n\n").as_bytes());
                        is_last = true;
                    }
                }
                if !sending.send(text).await || is_last {
                    return;
                }
            }
        });
        response
    }

    /// Answers with lines: what there is, or what comes first within a time.
    pub(crate) fn lines(mut self, wait: Duration) -> Response {
        let (sending, response) = stream(&self.app, NDJSON);
        tokio::spawn(async move {
            let deadline = Instant::now() + wait;
            let mut bytes = 0;
            let mut is_whole = true;
            loop {
                let has_all = self.has_all();
                // Once there was something, only what is there already belongs to this answer.
                if is_whole && (bytes > LINES_BYTES || (bytes > 0 && has_all)) {
                    break;
                }
                let next = async {
                    if has_all {
                        self.step().await
                    } else {
                        self.step_now().await
                    }
                };
                let step = tokio::select! {
                    step = next => step,
                    () = sleep_until(deadline), if has_all && is_whole => break,
                    () = sending.sender.closed() => return,
                };
                let parts = match step {
                    Step::Parts(parts) => parts,
                    Step::Beat => continue,
                    Step::End(None) => break,
                    Step::End(Some(error)) => {
                        let line = format!("{}\n", frames::error(None, &problem_of(&error)));
                        sending.send(line.into_bytes()).await;
                        return;
                    }
                };
                let mut text = Vec::new();
                for part in &parts {
                    self.telling(part);
                    is_whole = !part.more;
                    frame(part, &mut text);
                    text.push(b'\n');
                }
                bytes += text.len();
                if !sending.send(text).await {
                    return;
                }
            }
            if let Some(version) = self.mark().filter(|_| is_whole) {
                let mut text = Vec::new();
                frame(&nothing_until(version), &mut text);
                text.push(b'\n');
                sending.send(text).await;
            }
        });
        response
    }

    /// Serves a socket until it ends.
    pub(crate) async fn serve(mut self, mut socket: WebSocket) {
        let period = self.app.options.live_heartbeat;
        let stall_max = self.app.options.write_stall_max;
        let mut heard = Instant::now();
        loop {
            let mut frames = Frames::default();
            let mut is_last = false;
            tokio::select! {
                biased;
                received = socket.receive() => match received {
                    Some(Ok(Incoming::Pong)) => {
                        heard = Instant::now();
                        continue;
                    }
                    Some(Ok(Incoming::Ping(payload))) => {
                        heard = Instant::now();
                        frames.pong(&payload);
                    }
                    Some(Ok(Incoming::Text(_) | Incoming::Binary)) => {
                        let error = ApiError::invalid("on this socket only the server speaks");
                        end(&error, close_code::POLICY, &mut frames);
                        is_last = true;
                    }
                    Some(Ok(Incoming::Close)) => {
                        frames.close(close_code::NORMAL, "");
                        is_last = true;
                    }
                    Some(Err(violation)) => {
                        end(&ApiError::invalid(violation.what), violation.code, &mut frames);
                        is_last = true;
                    }
                    None => return,
                },
                step = self.step() => match step {
                    Step::Parts(parts) => {
                        for part in &parts {
                            self.telling(part);
                            let before = frames::before_logged(part);
                            frames.text_around(&before, &part.changes, "}");
                        }
                    }
                    Step::Beat => {
                        if heard.elapsed() > 2 * period {
                            return;
                        }
                        if let Some(version) = self.mark() {
                            let mark = nothing_until(version);
                            frames.text_around(&frames::before_logged(&mark), &mark.changes, "}");
                        }
                        frames.ping();
                    }
                    Step::End(error) => {
                        let code = if error.is_none() { close_code::RESTART } else { close_code::POLICY };
                        let error = error.unwrap_or_else(|| ApiError::from(EngineError::Closed));
                        end(&error, code, &mut frames);
                        is_last = true;
                    }
                },
            }
            let written = tokio::time::timeout(stall_max, socket.write(frames)).await;
            if is_last || !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
    }
}

impl ApiError {
    /// An error of a feed. Where the log does not reach back to a position, that is a status of its own.
    fn of_feed(error: EngineError) -> Self {
        let is_gone = error.code() == ErrorCode::OutOfRange;
        let error = Self::from(error);
        if is_gone {
            error.with_status(axum::http::StatusCode::GONE)
        } else {
            error
        }
    }
}

fn stream(app: &AppRef, media_type: &'static str) -> (Sending, Response) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let sending = Sending {
        stall_max: app.options.write_stall_max,
        sender,
    };
    let mut response = Response::new(Body::new(Events(receiver)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    (sending, response)
}

/// Says how far the log has got.
fn nothing_until(version: Version) -> ChangePart {
    ChangePart {
        version,
        more: false,
        changes: bytes::Bytes::from_static(b"[]"),
    }
}

fn frame(part: &ChangePart, text: &mut Vec<u8>) {
    text.extend_from_slice(frames::before_logged(part).as_bytes());
    text.extend_from_slice(&part.changes);
    text.push(b'}');
}

/// Only a whole commit has an id: there is no going on from the middle of one.
fn event(part: &ChangePart, text: &mut Vec<u8>) {
    if !part.more {
        text.extend_from_slice(format!("id: {}\n", part.version).as_bytes());
    }
    text.extend_from_slice(b"data: ");
    frame(part, text);
    text.extend_from_slice(b"\n\n");
}

fn end(error: &ApiError, code: u16, frames: &mut Frames) {
    let problem = problem_of(error);
    frames.text(&frames::error(None, &problem));
    frames.close(code, problem.code.as_str());
}

fn problem_of(error: &ApiError) -> andiron_protocol::Problem {
    let problem = error.to_problem();
    if problem.code == ErrorCode::Internal {
        tracing::error!(cause = error.cause(), "a change feed failed");
    }
    problem
}
