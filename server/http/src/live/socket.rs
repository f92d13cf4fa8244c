//! One live socket, from its greeting to its end.

use std::sync::Arc;
use std::time::Duration;

use andiron_engine::{Caller, EngineError, LiveConnection, LiveMessage};
use andiron_protocol::ErrorCode;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::frames::{self, ClientFrame};
use super::session::{Credential, Session};
use super::websocket::{Frames, Incoming, Violation, WebSocket, close_code, pack};
use crate::app::AppRef;
use crate::problem::ApiError;
use crate::server::ConnectionLife;

/// The name of the frames' form.
pub(crate) const SUBPROTOCOL: &str = "andiron.v1";
/// Seconds over which clients of a server that ends are asked to come back.
const RECONNECT_SECONDS_MAX: u32 = 5;
/// Bytes of messages that go out in one write, about.
const WRITE_BYTES: usize = 256 * 1024;

/// Bytes of changes that are not worth compressing.
const PACKED_BYTES_MIN: usize = 1024;

/// Why a socket ends.
enum End {
    /// The client has gone, or takes nothing any more.
    Gone,
    /// It is told of the problem, and closed.
    Problem(Box<ApiError>, u16),
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Problem(Box::new(ApiError::invalid(violation.what)), violation.code)
    }
}

struct Socket {
    app: AppRef,
    socket: WebSocket,
    connection: LiveConnection,
    /// Who listens; nobody once a token has ended.
    session: Option<Session>,
    heard: Instant,
}

/// Serves a socket until it ends.
pub(crate) async fn serve_socket(
    app: AppRef,
    socket: WebSocket,
    session: Session,
    life: Option<Arc<ConnectionLife>>,
) {
    let connection = app.engine.live();
    let mut socket = Socket {
        app,
        socket,
        connection,
        session: Some(session),
        heard: Instant::now(),
    };
    let end = socket.run(life.as_deref()).await;
    if let Err(End::Problem(error, code)) = end {
        let problem = error.to_problem();
        if problem.code == ErrorCode::Internal {
            tracing::error!(cause = error.cause(), "a live socket failed");
        }
        let mut last = Frames::default();
        last.text(&frames::error(None, &problem));
        last.close(code, problem.code.as_str());
        // It may be gone already.
        let _ = socket.write(last).await;
    }
}

impl Socket {
    async fn run(&mut self, life: Option<&ConnectionLife>) -> Result<(), End> {
        let period = self.app.options.live_heartbeat;
        let version = self.app.engine.version().map_err(failed)?;
        self.send(frames::hello(version, period.as_secs())).await?;
        let mut heartbeat = interval(period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.tick().await;
        let ending = async {
            match life {
                Some(life) => life.ending().await,
                None => std::future::pending().await,
            }
        };
        let mut ending = std::pin::pin!(ending);
        let mut introduction = std::pin::pin!(sleep(self.app.options.live_introduction_max));
        let mut is_introduced = false;
        loop {
            let disturbed = async {
                match &self.session {
                    Some(session) => session.disturbed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = disturbed => self.check_session(&mut Vec::new()).await?,
                () = ending.as_mut() => return Err(self.farewell()),
                received = self.socket.receive() => match received {
                    Some(Ok(incoming)) => self.receive(incoming).await?,
                    Some(Err(violation)) => return Err(violation.into()),
                    None => return Err(End::Gone),
                },
                () = introduction.as_mut(), if !is_introduced => {
                    is_introduced = true;
                    if self.is_strangers() {
                        let error = ApiError::from(andiron_auth::AuthError::Unauthenticated);
                        return Err(End::Problem(Box::new(error), close_code::POLICY));
                    }
                }
                // After what has been received: an answer that waits to be read is one.
                _ = heartbeat.tick() => self.beat(period).await?,
                messages = self.connection.next_batch(WRITE_BYTES) => match messages {
                    Some(messages) => self.tell(messages).await?,
                    None => return Err(self.farewell()),
                },
            }
        }
    }

    /// Whether nobody has said who they are, nor listens to what everybody may see.
    fn is_strangers(&self) -> bool {
        let session = self.session.as_ref();
        let is_known = session.is_some_and(|session| *session.caller() != Caller::Anonymous);
        !is_known && !self.connection.is_listening()
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        let mut frames = Frames::default();
        frames.text(&text);
        self.write(frames).await
    }

    async fn write(&mut self, frames: Frames) -> Result<(), End> {
        let written = self.socket.write(frames);
        match timeout(self.app.options.write_stall_max, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Looks at the credentials again. Where they have ended so do all listens; the socket stays for a fresh `auth`. See
    /// [`Session::revise`] for what is unsent.
    async fn check_session(&mut self, unsent: &mut Vec<LiveMessage>) -> Result<(), End> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        match session.revise(&self.connection, unsent) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.session = None;
                let problem = ApiError::from(error).to_problem();
                for id in self.connection.unlisten_all() {
                    self.send(frames::error(Some(id), &problem)).await?;
                }
                Ok(())
            }
        }
    }

    async fn beat(&mut self, period: Duration) -> Result<(), End> {
        if self.heard.elapsed() > 2 * period {
            return Err(End::Gone);
        }
        self.connection.mark();
        let mut ping = Frames::default();
        ping.ping();
        self.write(ping).await
    }

    async fn receive(&mut self, incoming: Incoming) -> Result<(), End> {
        self.heard = Instant::now();
        let text = match &incoming {
            Incoming::Text(text) => text.as_str(),
            Incoming::Pong => return Ok(()),
            Incoming::Ping(payload) => {
                let mut answer = Frames::default();
                answer.pong(payload);
                return self.write(answer).await;
            }
            Incoming::Close => {
                let mut answer = Frames::default();
                answer.close(close_code::NORMAL, "");
                self.write(answer).await?;
                return Err(End::Gone);
            }
            Incoming::Binary => {
                let error = ApiError::invalid("messages are text");
                return Err(End::Problem(Box::new(error), close_code::UNSUPPORTED));
            }
        };
        let frame = ClientFrame::read(text)
            .map_err(|error| End::Problem(Box::new(error.into()), close_code::POLICY))?;
        match frame {
            ClientFrame::Auth { token } => self.authenticate(token).await,
            ClientFrame::Unlisten { id } => {
                self.connection.unlisten(id);
                Ok(())
            }
            ClientFrame::Listen { id, target, resume } => {
                let begun = match (&self.session, target) {
                    (None, _) => Err(ApiError::from(andiron_auth::AuthError::Unauthenticated)),
                    (Some(_), Err(error)) => Err(error.into()),
                    (Some(session), Ok(target)) => self
                        .connection
                        .listen(id, session.caller(), target, resume.as_deref())
                        .map_err(ApiError::from),
                };
                match begun {
                    Ok(()) => Ok(()),
                    Err(error) => self.send(frames::error(Some(id), &error.to_problem())).await,
                }
            }
        }
    }

    /// From now on it is somebody else's, or the same one's for longer.
    async fn authenticate(&mut self, token: Option<String>) -> Result<(), End> {
        let credential = token.map_or(Credential::None(Caller::Anonymous), Credential::Token);
        let session = Session::begin(&self.app, credential)
            .map_err(|error| End::Problem(Box::new(error.into()), close_code::POLICY))?;
        self.connection.set_caller(session.caller());
        let expires = session.expires();
        self.session = Some(session);
        self.send(frames::authenticated(expires)).await
    }

    async fn tell(&mut self, mut messages: Vec<LiveMessage>) -> Result<(), End> {
        if self.session.as_ref().is_some_and(Session::is_disturbed) {
            self.check_session(&mut messages).await?;
            if messages.is_empty() {
                return Ok(());
            }
        }
        let mut frames = Frames::default();
        for message in messages {
            match message {
                LiveMessage::Changes(changes) => {
                    let (before, after) = frames::around_changes(&changes, true);
                    let shared = &changes.changes;
                    if self.socket.is_compressed() && shared.len() >= PACKED_BYTES_MIN {
                        frames.text_around_packed(&before, shared.packed(pack), after);
                    } else {
                        frames.text_around(&before, shared, after);
                    }
                }
                LiveMessage::Ended { listen, error } => frames.text(&self.end_of(listen, error)),
            }
        }
        self.write(frames).await
    }

    /// What a client is told of the end of a listen.
    fn end_of(&self, listen: u64, error: EngineError) -> String {
        let mut error = ApiError::from(error);
        let is_admin = self
            .session
            .as_ref()
            .is_some_and(|session| session.caller().is_admin());
        if let Some(denial) = error.denial() {
            tracing::info!(denial, "a listen was denied");
            if self.app.options.shows_denials || is_admin {
                error = error.showing_denial();
            }
        }
        if let Some(cause) = error.cause() {
            tracing::error!(cause, "a listen failed");
        }
        frames::error(Some(listen), &error.to_problem())
    }

    /// The end of the server: clients come back one after the other.
    fn farewell(&self) -> End {
        let mut seed = [0; 4];
        self.app.engine.fill_random(&mut seed);
        let seconds = 1 + u32::from_ne_bytes(seed) % RECONNECT_SECONDS_MAX;
        let error = ApiError::from(EngineError::Closed).retry_after(seconds);
        End::Problem(Box::new(error), close_code::RESTART)
    }
}

fn failed(error: EngineError) -> End {
    End::Problem(Box::new(error.into()), close_code::ERROR)
}
