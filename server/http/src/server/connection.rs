//! One connection: HTTP on a watched socket, each request to the router.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch as watch_channel};
use tokio::time::{Instant, sleep_until};
use tower::Service as _;

use super::Phase;
use super::watch::{RequestGuard, Verdict, Watch, WatchLimits, Watched};
use crate::HttpOptions;
use crate::client::Peer;
use crate::metrics::{ConnectionCount, ConnectionGuard};

/// How long a connection that was told to end may take to say good-bye.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(5);
/// How often HTTP/2 asks a silent client whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Bytes that an answer on an HTTP/2 connection may have waiting for the socket.
const HTTP2_SEND_BYTES_MAX: usize = 256 * 1024;

/// What all connections of a listener share.
pub(super) struct Connections {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    limits: WatchLimits,
    count: ConnectionCount,
    phases: watch_channel::Receiver<Phase>,
}

impl Connections {
    pub(super) fn new(router: Router, options: &HttpOptions, phases: watch_channel::Receiver<Phase>) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // Time limits on heads are the watch's: hyper's would also end connections that merely rest between requests.
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(options.head_bytes_max.max(8 * 1024));
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL)
            .max_concurrent_streams(options.connection_requests_max)
            .max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX))
            .max_send_buf_size(HTTP2_SEND_BYTES_MAX);
        Self {
            builder,
            router,
            limits: WatchLimits {
                head_read_timeout: options.head_read_timeout,
                idle_timeout: options.idle_timeout,
                write_stall_max: options.write_stall_max,
            },
            count: options.connections.clone(),
            phases,
        }
    }

    /// Serves a connection in a task of its own, which holds `slot` until it ends.
    pub(super) fn spawn(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        slot: OwnedSemaphorePermit,
    ) {
        let watch = Arc::new(Watch::new(self.limits));
        let service = ConnectionService {
            router: self.router.clone(),
            watch: Arc::clone(&watch),
            peer,
            life: Arc::new(ConnectionLife {
                phases: self.phases.clone(),
                _held: (slot, self.count.guard()),
            }),
        };
        let life = Arc::clone(&service.life);
        let io = TokioIo::new(Watched::new(io, Arc::clone(&watch)));
        let connection = self
            .builder
            .serve_connection_with_upgrades(io, service)
            .into_owned();
        let mut phases = self.phases.clone();
        tokio::spawn(async move {
            let _life = life;
            let mut connection = pin!(connection);
            let mut alarm = pin!(sleep_until(watch.next_look(Instant::now())));
            let mut is_ending = false;
            loop {
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            // Clients break off all the time.
                            tracing::debug!(%error, "a connection broke off");
                        }
                        return;
                    }
                    () = alarm.as_mut() => match watch.judge(Instant::now()) {
                        // Dropping the connection closes it.
                        Verdict::Close => return,
                        Verdict::End if is_ending => return,
                        Verdict::End => {
                            is_ending = true;
                            connection.as_mut().graceful_shutdown();
                            alarm.as_mut().reset(Instant::now() + GOODBYE_TIME_MAX);
                        }
                        Verdict::LookAgain(at) => alarm.as_mut().reset(at),
                    },
                    changed = phases.changed() => match *phases.borrow_and_update() {
                        Phase::Finishing if changed.is_ok() => connection.as_mut().graceful_shutdown(),
                        Phase::Serving if changed.is_ok() => {}
                        // Told to, or whoever would tell is gone.
                        _ => return,
                    },
                }
            }
        });
    }
}

/// The router as hyper wants it.
struct ConnectionService {
    router: Router,
    watch: Arc<Watch>,
    peer: Peer,
    life: Arc<ConnectionLife>,
}

/// What a connection holds as long as anything goes on on it: a socket that it has become takes it along.
pub(crate) struct ConnectionLife {
    phases: watch_channel::Receiver<Phase>,
    /// Its place among the connections, and its part in their number.
    _held: (OwnedSemaphorePermit, ConnectionGuard),
}

impl ConnectionLife {
    /// Waits until the server is to end, for what would otherwise go on for ever.
    pub(crate) async fn ending(&self) {
        let mut phases = self.phases.clone();
        // If whoever would tell is gone, that is an end too.
        let _ = phases.wait_for(|phase| *phase != Phase::Serving).await;
    }
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let guard = self.watch.begin_request();
        // A body that is none needs no box.
        let mut request = request.map(|body| {
            if body.is_end_stream() {
                Body::empty()
            } else {
                Body::new(body)
            }
        });
        let extensions = request.extensions_mut();
        extensions.insert(self.peer);
        extensions.insert(Arc::clone(&self.life));
        Answering {
            answer: Box::pin(self.router.clone().call(request)),
            guard: Some(guard),
        }
    }
}

/// A request under way.
struct Answering {
    answer: Pin<Box<axum::routing::future::RouteFuture<Infallible>>>,
    guard: Option<RequestGuard>,
}

impl Future for Answering {
    type Output = Result<Response<WatchedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = std::task::ready!(self.answer.as_mut().poll(context))?;
        let guard = self.guard.take();
        Poll::Ready(Ok(response.map(|inner| WatchedBody { inner, _guard: guard })))
    }
}

/// The body of an answer; the request is under way until it is gone.
struct WatchedBody {
    inner: Body,
    _guard: Option<RequestGuard>,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
