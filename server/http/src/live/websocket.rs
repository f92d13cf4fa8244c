//! As much of WebSocket (RFC 6455) as a server needs: the opening of one, frames written many at a time, messages read.
//!
//! Invariant: a frame is written whole before anything else is. Compression (RFC 7692) is agreed to without memory of
//! earlier messages: what many are told is compressed once for all of them, and a socket holds nothing between messages.

mod deflate;
mod incoming;
mod outgoing;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::poll_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use self::incoming::Reader;

use crate::HttpOptions;

pub(super) use self::deflate::pack;
pub(super) use self::incoming::{Incoming, Violation};
pub(super) use self::outgoing::Frames;

/// Bytes that a socket reads at a time: most sockets are idle most of the time.
const READ_BYTES: usize = 4 * 1024;
/// What a server puts behind a client's key to show that it has understood (RFC 6455, section 1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why sockets are closed, as RFC 6455 numbers it.
pub(super) mod close_code {
    /// The client ends.
    pub(in super::super) const NORMAL: u16 = 1000;
    /// What came is no WebSocket.
    pub(in super::super) const PROTOCOL: u16 = 1002;
    /// A kind of message that is not taken.
    pub(in super::super) const UNSUPPORTED: u16 = 1003;
    /// What came is not the text, or not compressed, as it says.
    pub(in super::super) const INVALID_TEXT: u16 = 1007;
    /// A message that breaks the rules.
    pub(in super::super) const POLICY: u16 = 1008;
    /// A message that is too large.
    pub(in super::super) const TOO_LARGE: u16 = 1009;
    /// Something failed here.
    pub(in super::super) const ERROR: u16 = 1011;
    /// The server ends.
    pub(in super::super) const RESTART: u16 = 1012;
}

/// A socket that has been asked for.
pub(crate) struct Opening {
    upgrade: OnUpgrade,
    bytes_max: usize,
    is_compressed: bool,
}

impl Opening {
    /// Takes a request for a socket: what it becomes, and the answer to it. `None` if it is another request. Compression is
    /// agreed to if the settings have it.
    pub(crate) fn of(
        request: &mut axum::extract::Request,
        subprotocol: &'static str,
        options: &HttpOptions,
    ) -> Option<(Self, Response)> {
        let headers = request.headers();
        if request.method() != Method::GET
            || !names(headers, &CONNECTION, "upgrade")
            || !names(headers, &UPGRADE, "websocket")
            || !names(headers, &SEC_WEBSOCKET_VERSION, "13")
        {
            return None;
        }
        let accept = Sha1::new()
            .chain_update(headers.get(SEC_WEBSOCKET_KEY)?.as_bytes())
            .chain_update(ACCEPT_SUFFIX)
            .finalize();
        let accept = STANDARD.encode(accept);
        let mut extensions = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
        let is_compressed = options.compression && extensions.any(deflate::is_offered);
        let speaks = names(headers, &SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        let mut answer = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let accept = HeaderValue::try_from(accept).expect("base64 is a header's value");
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if speaks {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        }
        if is_compressed {
            let agreed = HeaderValue::from_static(deflate::AGREED);
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, agreed);
        }
        let opening = Self {
            upgrade,
            bytes_max: options.live_message_bytes_max,
            is_compressed,
        };
        Some((opening, answer))
    }

    /// Waits for the socket; `None` if the client has gone.
    pub(crate) async fn socket(self) -> Option<WebSocket> {
        Some(WebSocket {
            io: TokioIo::new(self.upgrade.await.ok()?),
            reader: Reader::new(self.bytes_max, self.is_compressed),
            is_compressed: self.is_compressed,
        })
    }
}

/// Whether a list of names in a header has this one.
fn names(headers: &HeaderMap, header: &HeaderName, name: &str) -> bool {
    headers.get_all(header).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .any(|item| item.trim().eq_ignore_ascii_case(name))
        })
    })
}

/// A socket that is open.
pub(crate) struct WebSocket {
    io: TokioIo<Upgraded>,
    reader: Reader,
    is_compressed: bool,
}

impl WebSocket {
    /// Whether the client takes compressed frames.
    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// What the client sends next; `None` once it has gone. Dropping the future loses nothing.
    pub(super) async fn receive(&mut self) -> Option<Result<Incoming, Violation>> {
        loop {
            if let Some(next) = self.reader.next().transpose() {
                return Some(next);
            }
            let count = poll_fn(|context| self.poll_fill(context)).await.ok()?;
            if count == 0 {
                return None;
            }
        }
    }

    /// Reads what there is, by way of the stack: a socket that waits holds no buffer.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [std::mem::MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        std::task::ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
        self.reader.feed(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes frames. After an error, or if the future was dropped, nothing can be written any more.
    pub(super) async fn write(&mut self, frames: Frames) -> io::Result<()> {
        let mut written = frames.finish();
        self.io.write_all_buf(&mut written).await?;
        self.io.flush().await
    }
}
