//! As much of WebSocket as a server needs: the opening of one, and frames written many at a time.
//!
//! What clients send is read by `tungstenite`. What they are sent is written here: text that many get is not copied for each
//! of them, and whatever waits for a client goes out in one write. Invariant: a frame is written whole before anything
//! else is, tungstenite's answers to pings included.

use std::io::IoSlice;

use axum::http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

/// Bytes that a socket reads at a time: most sockets are idle most of the time.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Shared text shorter than this is copied between what stands around it: that costs less than another piece to write.
const SHARED_BYTES_MIN: usize = 1024;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

/// Why sockets are closed, as RFC 6455 numbers it.
pub(super) mod close_code {
    /// A kind of message that is not taken.
    pub(in super::super) const UNSUPPORTED: u16 = 1003;
    /// A message that breaks the rules.
    pub(in super::super) const POLICY: u16 = 1008;
    /// Something failed here.
    pub(in super::super) const ERROR: u16 = 1011;
    /// The server ends.
    pub(in super::super) const RESTART: u16 = 1012;
}

/// A socket that has been asked for.
pub(crate) struct Opening {
    upgrade: OnUpgrade,
    bytes_max: usize,
}

impl Opening {
    /// Takes a request for a socket: what it becomes, and the answer to it. `None` if it is another request.
    pub(crate) fn of(
        request: &mut axum::extract::Request,
        subprotocol: &'static str,
        bytes_max: usize,
    ) -> Option<(Self, Response)> {
        let headers = request.headers();
        if request.method() != Method::GET
            || !names(headers, &CONNECTION, "upgrade")
            || !names(headers, &UPGRADE, "websocket")
            || !names(headers, &SEC_WEBSOCKET_VERSION, "13")
        {
            return None;
        }
        let accept = derive_accept_key(headers.get(SEC_WEBSOCKET_KEY)?.as_bytes());
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
        Some((Self { upgrade, bytes_max }, answer))
    }

    /// Waits for the socket; `None` if the client has gone.
    pub(crate) async fn socket(self) -> Option<WebSocket> {
        let io = TokioIo::new(self.upgrade.await.ok()?);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(self.bytes_max))
            .max_frame_size(Some(self.bytes_max));
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Some(WebSocket {
            stream,
            has_answers: false,
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
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// Whether tungstenite may have an answer to a ping to write.
    has_answers: bool,
}

impl WebSocket {
    /// The next message; `None` or an error once there will be none. Dropping the future loses nothing.
    pub(super) async fn receive(&mut self) -> Option<Result<Message, SocketError>> {
        let received = self.stream.next().await;
        self.has_answers |= matches!(received, Some(Ok(Message::Ping(_) | Message::Close(_))));
        received
    }

    /// Writes frames. After an error, or if the future was dropped, nothing can be written any more.
    pub(super) async fn write(&mut self, frames: Frames) -> std::io::Result<()> {
        if std::mem::take(&mut self.has_answers) {
            self.stream.flush().await.map_err(std::io::Error::other)?;
        }
        let mut written = frames.finish();
        let io = self.stream.get_mut();
        io.write_all_buf(&mut written).await?;
        io.flush().await
    }
}

/// Frames to be written together.
#[derive(Default)]
pub(super) struct Frames {
    /// What is written before, between and after shared text.
    own: BytesMut,
    /// Pieces in order.
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Frames {
    /// A text frame.
    pub(super) fn text(&mut self, text: &str) {
        self.begin(TEXT, text.len());
        self.own.extend_from_slice(text.as_bytes());
    }

    /// A text frame of text with shared text in it.
    pub(super) fn text_around(&mut self, before: &str, shared: &Bytes, after: &str) {
        self.begin(TEXT, before.len() + shared.len() + after.len());
        self.own.extend_from_slice(before.as_bytes());
        if shared.len() < SHARED_BYTES_MIN {
            self.own.extend_from_slice(shared);
        } else {
            self.end_own();
            self.pieces.push(shared.clone());
            self.bytes += shared.len();
        }
        self.own.extend_from_slice(after.as_bytes());
    }

    /// A ping.
    pub(super) fn ping(&mut self) {
        self.begin(PING, 0);
    }

    /// The last frame. `reason` is short.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.begin(CLOSE, 2 + reason.len());
        self.own.extend_from_slice(&code.to_be_bytes());
        self.own.extend_from_slice(reason.as_bytes());
    }

    /// The header of a frame, which a server does not mask.
    fn begin(&mut self, first: u8, length: usize) {
        self.own.extend_from_slice(&[first]);
        if let Ok(short @ 0..=125) = u8::try_from(length) {
            self.own.extend_from_slice(&[short]);
        } else if let Ok(length) = u16::try_from(length) {
            self.own.extend_from_slice(&[126]);
            self.own.extend_from_slice(&length.to_be_bytes());
        } else {
            self.own.extend_from_slice(&[127]);
            self.own.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }

    fn end_own(&mut self) {
        if !self.own.is_empty() {
            self.bytes += self.own.len();
            self.pieces.push(self.own.split().freeze());
        }
    }

    fn finish(mut self) -> Pieces {
        self.end_own();
        Pieces {
            pieces: self.pieces,
            at: 0,
            left: self.bytes,
        }
    }
}

/// Pieces on their way out.
struct Pieces {
    pieces: Vec<Bytes>,
    at: usize,
    left: usize,
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.get(self.at).map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.get(self.at..).unwrap_or_default();
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.left = self.left.saturating_sub(count);
        while let Some(piece) = self.pieces.get_mut(self.at)
            && count >= piece.len()
        {
            count -= piece.len();
            // What has gone out is of no more use.
            *piece = Bytes::new();
            self.at += 1;
            if count == 0 {
                return;
            }
        }
        if let Some(piece) = self.pieces.get_mut(self.at) {
            piece.advance(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything, taken in pieces of a size.
    fn drain(mut pieces: Pieces, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while pieces.has_remaining() {
            let chunk = pieces.chunk();
            let taken = chunk.len().min(size);
            assert!(taken > 0, "there is no empty piece");
            out.extend_from_slice(&chunk[..taken]);
            pieces.advance(taken);
        }
        out
    }

    #[test]
    fn frames_are_the_same_bytes_however_they_are_written() {
        let shared = Bytes::from(vec![b'x'; 70_000]);
        let short = Bytes::from_static(b"[]");
        for size in [1, 7, 1000, usize::MAX] {
            let mut frames = Frames::default();
            frames.text("{}");
            frames.text_around("{\"a\":", &shared, "}");
            frames.text_around("{\"a\":", &short, "}");
            frames.ping();
            frames.close(1012, "unavailable");
            let mut expected = b"\x81\x02{}\x81\x7f\0\0\0\0\0\x01\x11\x76{\"a\":".to_vec();
            expected.extend_from_slice(&shared);
            expected.extend_from_slice(b"}\x81\x08{\"a\":[]}\x89\x00\x88\x0d\x03\xf4unavailable");
            assert_eq!(drain(frames.finish(), size), expected, "pieces of {size}");
        }
    }
}
