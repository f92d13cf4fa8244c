//! As much of WebSocket and event streams as counting deliveries needs.
//!
//! Invariant: a [`Scanner`] finds each moment once, however the bytes are cut into pieces.
//! Left out: what the frames say beside the moments, masks and fragments of servers (which send none).

use memchr::memmem;

/// How a server tells of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Frames on a WebSocket.
    WebSocket,
    /// Server-Sent Events, subscribed to by a request of its own.
    EventStream,
}

/// Stands for the id that an event stream has been given, and is as long.
pub(super) const CLIENT_ID_HOLE: &str = "clientidclientidclientidclientidclientid";

/// What a moment follows in a document's JSON.
const MARK: &[u8] = b"\"sent\":";

/// Digits of a moment.
pub(super) const MOMENT_DIGITS: usize = 16;

/// What a frame of a server may be about.
const PING: u8 = 0x9;
const CLOSE: u8 = 0x8;

/// A client's answer to a ping without content: a pong, masked with zeros.
pub(super) const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// A text frame of a client, masked with zeros.
pub(super) fn text_frame(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text);
    frame
}

/// What a piece of a stream held beside moments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) pings: usize,
    pub(super) is_closed: bool,
}

/// Finds moments in a stream, and what has to be answered.
#[derive(Debug)]
pub(super) struct Scanner {
    wire: Wire,
    /// What may be the beginning of a mark or of a moment.
    rest: Vec<u8>,
    /// The header of a frame, as far as it is there.
    header: Vec<u8>,
    /// Bytes of the frame that are still to come.
    payload_left: u64,
}

impl Scanner {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            rest: Vec::new(),
            header: Vec::new(),
            payload_left: 0,
        }
    }

    /// Looks at the next piece; `found` gets the moments, zeros left out.
    pub(super) fn scan(&mut self, piece: &[u8], found: &mut impl FnMut(u64)) -> Seen {
        let mut seen = Seen::default();
        if self.wire == Wire::WebSocket {
            self.walk(piece, &mut seen);
        }
        let mut at = 0;
        if !self.rest.is_empty() {
            // The joint: enough of the piece to complete what began before it.
            let before = self.rest.len();
            let taken = piece.len().min(MARK.len() + MOMENT_DIGITS + 1);
            self.rest.extend_from_slice(&piece[..taken]);
            let joint = std::mem::take(&mut self.rest);
            let end = moments(&joint, found);
            if taken == piece.len() {
                self.rest = joint[end..].to_vec();
                return seen;
            }
            at = end.saturating_sub(before);
        }
        let end = at + moments(&piece[at..], found);
        self.rest.extend_from_slice(&piece[end..]);
        seen
    }

    /// Steps over frames.
    fn walk(&mut self, mut piece: &[u8], seen: &mut Seen) {
        loop {
            let skipped = self.payload_left.min(piece.len() as u64);
            self.payload_left -= skipped;
            piece = &piece[skipped as usize..];
            let Some((&byte, rest)) = piece.split_first() else {
                return;
            };
            self.header.push(byte);
            piece = rest;
            let length = match self.header[..] {
                [_, short @ 0..=125] => u64::from(short),
                [_, 126, high, low] => u64::from(u16::from_be_bytes([high, low])),
                [_, 127, a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                _ => continue,
            };
            match self.header[0] & 0x0f {
                PING => seen.pings += 1,
                CLOSE => seen.is_closed = true,
                _ => {}
            }
            self.payload_left = length;
            self.header.clear();
        }
    }
}

/// Finds the moments that are whole, and gives where what is left begins: a mark or a moment that is not whole yet.
fn moments(bytes: &[u8], found: &mut impl FnMut(u64)) -> usize {
    let mut at = 0;
    while let Some(place) = memmem::find(&bytes[at..], MARK) {
        let digits_at = at + place + MARK.len();
        let digits = &bytes[digits_at..];
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == digits.len() {
            return at + place;
        }
        let moment = digits[..count]
            .iter()
            .fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
        if moment > 0 {
            found(moment);
        }
        at = digits_at + count;
    }
    at.max(bytes.len().saturating_sub(MARK.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_found_once_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        let mut frame = |payload: &[u8], first: u8| {
            stream.push(first);
            match payload.len() {
                length @ 0..=125 => stream.push(length as u8),
                length => {
                    stream.push(126);
                    stream.extend_from_slice(&(length as u16).to_be_bytes());
                }
            }
            stream.extend_from_slice(payload);
        };
        frame(b"[{\"sent\":1000000000000001,\"n\":1}]", 0x81);
        frame(b"", 0x89);
        let long = format!(
            "[{{\"sent\":0}},{{\"text\":\"{}\",\"sent\":1000000000000002}}]",
            "x".repeat(300)
        );
        frame(long.as_bytes(), 0x81);
        frame(b"{\"sent\":1000000000000003}", 0x81);
        for size in 1..stream.len() {
            let mut scanner = Scanner::new(Wire::WebSocket);
            let (mut found, mut pings) = (Vec::new(), 0);
            for piece in stream.chunks(size) {
                let seen = scanner.scan(piece, &mut |moment| found.push(moment % 10));
                pings += seen.pings;
                assert!(!seen.is_closed);
            }
            assert_eq!((found, pings), (vec![1, 2, 3], 1), "pieces of {size}");
        }
    }
}
