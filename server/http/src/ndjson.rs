//! Results streamed as NDJSON: one document a line, as the store gives them.
//!
//! The query runs on a thread of the engine and writes into a bounded channel; a client that reads slowly slows the
//! query down, one that stops reading ends it. An error after the first line breaks the answer off, so that the client
//! sees that it is not whole.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use andiron_engine::{Caller, DocumentRow, DocumentSink, QueryOptions};
use andiron_protocol::{ErrorCode, Query};
use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::answer::write_row;
use crate::app::AppRef;
use crate::problem::ApiError;

/// The media type.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// Bytes after which what has been collected goes out.
const CHUNK_BYTES: usize = 32 * 1024;
/// How long documents may lie before they go out, if others follow.
const CHUNK_AGE_MAX: Duration = Duration::from_millis(50);
/// Chunks on their way to the client.
const CHUNKS_MAX: usize = 8;

type Chunk = Result<Bytes, ApiError>;

/// Whether the client asks for NDJSON.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|range| {
            let essence = range.split(|byte| *byte == b';').next().unwrap_or_default();
            essence.trim_ascii().eq_ignore_ascii_case(NDJSON.as_bytes())
        })
    })
}

/// Answers a query with a stream.
pub(crate) async fn stream(app: AppRef, caller: Caller, query: Query) -> Result<Response, ApiError> {
    let (sender, mut receiver) = mpsc::channel::<Chunk>(CHUNKS_MAX);
    let sink = ChunkSink {
        chunk: Vec::with_capacity(CHUNK_BYTES),
        sent: Instant::now(),
        sender: sender.clone(),
        stall_max: app.options.write_stall_max,
        is_stopped: false,
    };
    tokio::spawn(async move {
        let options = QueryOptions {
            stream: true,
            ..QueryOptions::default()
        };
        let last = tokio::select! {
            outcome = app.engine.query(&caller, query, options, sink) => match outcome {
                // A sink that stopped has lost documents: what was sent is not the whole result.
                Ok((sink, _)) if sink.is_stopped => Err(ApiError::new(
                    ErrorCode::Cancelled,
                    "the client took nothing of the result for too long",
                )),
                Ok((sink, _)) => Ok(Bytes::from(sink.chunk)),
                Err(error) => Err(error.into()),
            },
            // Nobody is reading any more.
            () = sender.closed() => return,
        };
        // If the client has gone meanwhile, there is nobody to tell.
        let _ = sender.send(last).await;
    });
    // Until something has come the answer can still be a problem.
    let first = match receiver.recv().await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(error),
        None => return Err(ApiError::internal("a streamed query ended without a word")),
    };
    let mut response = Response::new(Body::new(Chunks {
        first: Some(first),
        rest: receiver,
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.append(VARY, HeaderValue::from_name(ACCEPT));
    Ok(response)
}

/// Collects lines into chunks, on the thread that scans.
struct ChunkSink {
    chunk: Vec<u8>,
    sent: Instant,
    sender: mpsc::Sender<Chunk>,
    stall_max: Duration,
    is_stopped: bool,
}

impl DocumentSink for ChunkSink {
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()> {
        write_row(&document, &mut self.chunk);
        self.chunk.push(b'\n');
        if self.chunk.len() < CHUNK_BYTES && self.sent.elapsed() < CHUNK_AGE_MAX {
            return ControlFlow::Continue(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        let sent = block_on(self.sender.send(Ok(Bytes::from(chunk))), self.stall_max);
        self.sent = Instant::now();
        match sent {
            Some(Ok(())) => ControlFlow::Continue(()),
            // The client has gone, or takes nothing.
            Some(Err(_)) | None => {
                self.is_stopped = true;
                ControlFlow::Break(())
            }
        }
    }
}

/// Waits on a thread that is not the runtime's; `None` if it takes longer than `time_max`.
fn block_on<F: Future>(future: F, time_max: Duration) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = Instant::now() + time_max;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = until.checked_duration_since(Instant::now())?;
        std::thread::park_timeout(left);
    }
}

/// The chunks as a body.
struct Chunks {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Chunk>,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let chunks = self.get_mut();
        loop {
            let next = match chunks.first.take() {
                Some(first) => Some(Ok(first)),
                None => std::task::ready!(chunks.rest.poll_recv(context)),
            };
            return Poll::Ready(match next {
                None => None,
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => Some(Ok(Frame::data(chunk))),
                Some(Err(error)) => {
                    tracing::warn!(cause = error.cause(), "a streamed result broke off");
                    Some(Err(axum::Error::new(BrokenOff)))
                }
            });
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// What ends the connection of a stream that cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the result broke off")]
struct BrokenOff;
