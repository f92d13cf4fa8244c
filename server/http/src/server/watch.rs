//! The watch on a connection: what it waits for, since when, and whether that is too long.
//!
//! The socket and the requests leave marks as they go, a relaxed store each and a look at the clock only where
//! something begins or ends; the connection's task looks at the marks now and then. So a busy connection never touches
//! a timer.
//!
//! - The head of a request, from its first byte (of the first one from the beginning of the connection).
//! - A client that takes no byte of what is to be written.
//! - A connection without a request. HTTP/2 answers pings itself, so heads are not timed there: a client that holds one

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What an HTTP/2 connection begins with, and no HTTP/1 request.
const HTTP2_BEGINNING: &[u8] = b"PRI ";
/// The mark for "not now".
const NEVER: u64 = 0;

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct WatchLimits {
    pub(super) head_read_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) write_stall_max: Duration,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may go on; look again then.
    LookAgain(Instant),
    /// It has rested too long: say good-bye.
    End,
    /// Its client holds it up: close it.
    Close,
}

/// The marks of one connection. Times are milliseconds since its beginning, plus one so that [`NEVER`] is free.
#[derive(Debug)]
pub(super) struct Watch {
    limits: WatchLimits,
    began: Instant,
    requests: AtomicU32,
    head_began: AtomicU64,
    rest_began: AtomicU64,
    write_stalled: AtomicU64,
    has_read: AtomicBool,
    is_http2: AtomicBool,
}

impl Watch {
    pub(super) fn new(limits: WatchLimits) -> Self {
        Self {
            limits,
            began: Instant::now(),
            requests: AtomicU32::new(0),
            head_began: AtomicU64::new(1),
            rest_began: AtomicU64::new(1),
            write_stalled: AtomicU64::new(NEVER),
            has_read: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
        }
    }

    fn mark(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Notes that a request has begun; it is under way until the guard goes.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.requests.fetch_add(1, Relaxed);
        self.head_began.store(NEVER, Relaxed);
        RequestGuard(Arc::clone(self))
    }

    fn note_read(&self, bytes: &[u8]) {
        if !self.has_read.load(Relaxed) {
            self.has_read.store(true, Relaxed);
            // Told by the first read alone: who sends four bytes in two packets is timed as HTTP/1, which is stricter.
            if bytes.starts_with(HTTP2_BEGINNING) {
                self.is_http2.store(true, Relaxed);
                self.head_began.store(NEVER, Relaxed);
            }
        } else if self.requests.load(Relaxed) == 0
            && self.head_began.load(Relaxed) == NEVER
            && !self.is_http2.load(Relaxed)
        {
            self.head_began.store(self.mark(), Relaxed);
        }
    }

    fn note_write(&self, is_stalled: bool) {
        let was_stalled = self.write_stalled.load(Relaxed) != NEVER;
        if is_stalled && !was_stalled {
            self.write_stalled.store(self.mark(), Relaxed);
        } else if !is_stalled && was_stalled {
            self.write_stalled.store(NEVER, Relaxed);
        }
    }

    /// When to look for the first time, or next.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        let WatchLimits {
            head_read_timeout,
            idle_timeout,
            write_stall_max,
        } = self.limits;
        // Whatever begins right after this look has not taken too long before then.
        now + head_read_timeout.min(idle_timeout).min(write_stall_max)
    }

    /// Looks at the marks.
    pub(super) fn judge(&self, now: Instant) -> Verdict {
        let mut next = self.next_look(now);
        let mut is_over = |mark: &AtomicU64, limit: Duration| {
            let mark = mark.load(Relaxed);
            if mark == NEVER {
                return false;
            }
            let deadline = self.began + Duration::from_millis(mark - 1) + limit;
            next = next.min(deadline.max(now + Duration::from_millis(1)));
            deadline <= now
        };
        if is_over(&self.write_stalled, self.limits.write_stall_max) {
            return Verdict::Close;
        }
        if self.requests.load(Relaxed) == 0 {
            if is_over(&self.head_began, self.limits.head_read_timeout) {
                return Verdict::Close;
            }
            if is_over(&self.rest_began, self.limits.idle_timeout) {
                return Verdict::End;
            }
        }
        Verdict::LookAgain(next)
    }
}

/// A request under way on a watched connection.
pub(super) struct RequestGuard(Arc<Watch>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.rest_began.store(self.0.mark(), Relaxed);
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// A socket that leaves marks.
pub(super) struct Watched<T> {
    inner: T,
    watch: Arc<Watch>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            self.watch.note_read(read);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch.note_write(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.watch.note_write(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WatchLimits = WatchLimits {
        head_read_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        write_stall_max: Duration::from_secs(30),
    };

    async fn after(seconds: u64) -> Instant {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_closes_the_connection() {
        let watch = Arc::new(Watch::new(LIMITS));
        assert!(matches!(watch.judge(after(9).await), Verdict::LookAgain(_)));
        watch.note_read(b"GET /");
        assert_eq!(watch.judge(after(1).await), Verdict::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_between_requests_may_be_longer_than_a_head() {
        let watch = Arc::new(Watch::new(LIMITS));
        watch.note_read(b"GET / HTTP/1.1\r\n\r\n");
        drop(watch.begin_request());
        assert!(matches!(watch.judge(after(59).await), Verdict::LookAgain(_)));
        assert_eq!(watch.judge(after(1).await), Verdict::End);
        watch.note_read(b"G");
        assert_eq!(watch.judge(after(10).await), Verdict::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_may_take_its_time_but_its_client_must_take_the_answer() {
        let watch = Arc::new(Watch::new(LIMITS));
        watch.note_read(b"GET / HTTP/1.1\r\n\r\n");
        let request = watch.begin_request();
        assert!(matches!(watch.judge(after(3600).await), Verdict::LookAgain(_)));
        watch.note_write(true);
        assert!(matches!(watch.judge(after(29).await), Verdict::LookAgain(_)));
        watch.note_write(false);
        watch.note_write(true);
        assert!(matches!(watch.judge(after(29).await), Verdict::LookAgain(_)));
        assert_eq!(watch.judge(after(1).await), Verdict::Close);
        drop(request);
    }

    #[tokio::test(start_paused = true)]
    async fn http2_is_idle_while_it_has_no_request() {
        let watch = Arc::new(Watch::new(LIMITS));
        watch.note_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        watch.note_read(b"a frame");
        assert!(matches!(watch.judge(after(59).await), Verdict::LookAgain(_)));
        assert_eq!(watch.judge(after(1).await), Verdict::End);
    }
}
