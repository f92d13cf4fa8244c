//! What clients send: bytes to frames, frames to messages.
//!
//! Invariant: whatever the bytes are, and however they are cut, no more is held than a message may have, and what breaks the
//! rules of RFC 6455 is told from what does not.

use bytes::{Buf as _, Bytes, BytesMut};

use super::close_code;
use super::deflate::{self, Unreadable};

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Bits of a frame's first byte.
const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const OPCODE: u8 = 0x0f;
/// Bits of a frame's second byte.
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Bytes of the payload of frames that are no messages.
const CONTROL_BYTES_MAX: u64 = 125;
const MASK_BYTES: usize = 4;

/// What a client has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Incoming {
    Text(String),
    Binary,
    Ping(Bytes),
    Pong,
    Close,
}

/// What a client must not send: the code that the socket is closed with, and why.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Violation {
    pub(in super::super) code: u16,
    pub(in super::super) what: &'static str,
}

/// A message whose end has not come yet.
struct Message {
    is_text: bool,
    is_compressed: bool,
    payload: Vec<u8>,
}

/// Reads frames.
pub(super) struct Reader {
    /// What has come and is not read yet.
    bytes: BytesMut,
    message: Option<Message>,
    bytes_max: usize,
    takes_compressed: bool,
}

/// The beginning of a frame.
struct Head {
    first: u8,
    mask: [u8; MASK_BYTES],
    /// Bytes of the head, and of the payload behind it.
    head: usize,
    payload: usize,
}

impl Reader {
    pub(super) fn new(bytes_max: usize, takes_compressed: bool) -> Self {
        Self {
            bytes: BytesMut::new(),
            message: None,
            bytes_max,
            takes_compressed,
        }
    }

    /// Takes bytes as they come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What has come whole; `None` if that takes more bytes. After an error there is nothing more to be read.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Violation> {
        while let Some(head) = self.head()? {
            if self.bytes.len() - head.head < head.payload {
                return Ok(None);
            }
            self.bytes.advance(head.head);
            let mut payload = self.bytes.split_to(head.payload);
            if self.bytes.is_empty() {
                // Gives the room back as soon as what was in it is of no more use.
                self.bytes = BytesMut::new();
            }
            unmask(&mut payload, head.mask);
            let incoming = match head.first & OPCODE {
                PING => Some(Incoming::Ping(payload.freeze())),
                PONG => Some(Incoming::Pong),
                CLOSE => Some(Incoming::Close),
                _ => self.piece(head.first, &payload)?,
            };
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
        Ok(None)
    }

    /// The head of the next frame, once it is whole and found to be allowed.
    fn head(&self) -> Result<Option<Head>, Violation> {
        let [first, second, rest @ ..] = &self.bytes[..] else {
            return Ok(None);
        };
        let opcode = first & OPCODE;
        let is_control = opcode >= CLOSE;
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(protocol("a frame of a kind that there is not"));
        }
        if second & MASKED == 0 {
            return Err(protocol("a client masks its frames"));
        }
        let may_be_compressed = self.takes_compressed && matches!(opcode, TEXT | BINARY);
        if first & RESERVED != 0 || (first & COMPRESSED != 0 && !may_be_compressed) {
            return Err(protocol("a frame with bits set that were not agreed on"));
        }
        if is_control && (first & FIN == 0 || u64::from(second & LENGTH) > CONTROL_BYTES_MAX) {
            return Err(protocol("a frame that is no message is whole and short"));
        }
        if !is_control && (opcode == CONTINUATION) != self.message.is_some() {
            return Err(protocol("the frames of a message come one after the other"));
        }
        let (length, rest) = match (second & LENGTH, rest) {
            (126, [high, low, rest @ ..]) => (u64::from(u16::from_be_bytes([*high, *low])), rest),
            (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
            }
            (126 | 127, _) => return Ok(None),
            (short, rest) => (u64::from(short), rest),
        };
        let held = self.message.as_ref().map_or(0, |message| message.payload.len());
        let payload = usize::try_from(length).unwrap_or(usize::MAX);
        if !is_control && payload > self.bytes_max.saturating_sub(held) {
            return Err(too_large());
        }
        let Some((mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Head {
            first: *first,
            mask: *mask,
            head: self.bytes.len() - rest.len(),
            payload,
        }))
    }

    /// Takes a frame of a message; gives the message if it is the last.
    fn piece(&mut self, first: u8, payload: &[u8]) -> Result<Option<Incoming>, Violation> {
        let message = self.message.get_or_insert_with(|| Message {
            is_text: first & OPCODE == TEXT,
            is_compressed: first & COMPRESSED != 0,
            payload: Vec::new(),
        });
        message.payload.extend_from_slice(payload);
        if first & FIN == 0 {
            return Ok(None);
        }
        let Some(message) = self.message.take() else {
            return Ok(None);
        };
        if !message.is_text {
            return Ok(Some(Incoming::Binary));
        }
        let bytes = if message.is_compressed {
            deflate::unpack(message.payload, self.bytes_max).map_err(|unreadable| match unreadable {
                Unreadable::TooLarge => too_large(),
                Unreadable::Corrupt => text_violation("a message that is not compressed as it says"),
            })?
        } else {
            message.payload
        };
        let text = String::from_utf8(bytes).map_err(|_| text_violation("a message that is not UTF-8"))?;
        Ok(Some(Incoming::Text(text)))
    }
}

fn unmask(payload: &mut [u8], mask: [u8; MASK_BYTES]) {
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

fn protocol(what: &'static str) -> Violation {
    Violation {
        code: close_code::PROTOCOL,
        what,
    }
}

fn text_violation(what: &'static str) -> Violation {
    Violation {
        code: close_code::INVALID_TEXT,
        what,
    }
}

fn too_large() -> Violation {
    Violation {
        code: close_code::TOO_LARGE,
        what: "a message that is too large",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(MASKED | u8::try_from(length).expect("short")),
            length @ 126..=0xffff => {
                frame.push(MASKED | 126);
                frame.extend_from_slice(&u16::try_from(length).expect("short").to_be_bytes());
            }
            length => {
                frame.push(MASKED | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[1, 2, 3, 4]);
        let at = frame.len();
        frame.extend_from_slice(payload);
        unmask(&mut frame[at..], [1, 2, 3, 4]);
        frame
    }

    /// As another's compressor has it: the end left out.
    fn compressed(text: &str) -> Vec<u8> {
        let mut compress = Compress::new(Compression::best(), false);
        let mut bytes = Vec::with_capacity(text.len() + 100);
        compress
            .compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync)
            .expect("it compresses");
        bytes.truncate(bytes.len() - 4);
        bytes
    }

    /// What a reader has of bytes that come in pieces of a size.
    fn read(bytes: &[u8], size: usize, bytes_max: usize, compression: bool) -> (Vec<Incoming>, Option<u16>) {
        let mut reader = Reader::new(bytes_max, compression);
        let mut read = Vec::new();
        for piece in bytes.chunks(size) {
            reader.feed(piece);
            loop {
                match reader.next() {
                    Ok(Some(incoming)) => read.push(incoming),
                    Ok(None) => break,
                    Err(violation) => return (read, Some(violation.code)),
                }
            }
        }
        (read, None)
    }

    #[test]
    fn messages_are_read_however_the_bytes_are_cut() {
        let long = "long ".repeat(20_000);
        let mut bytes = frame(FIN | TEXT, b"one");
        bytes.extend(frame(TEXT, "tw\u{f6}".as_bytes().split_at(3).0));
        bytes.extend(frame(FIN | PING, b"there?"));
        bytes.extend(frame(CONTINUATION, "tw\u{f6}".as_bytes().split_at(3).1));
        bytes.extend(frame(FIN | CONTINUATION, b"!"));
        bytes.extend(frame(FIN | PONG, b""));
        bytes.extend(frame(FIN | TEXT, long.as_bytes()));
        let packed = compressed(&long);
        let (left, right) = packed.split_at(packed.len() / 2);
        bytes.extend(frame(TEXT | COMPRESSED, left));
        bytes.extend(frame(FIN | CONTINUATION, right));
        bytes.extend(frame(FIN | BINARY, b"x"));
        bytes.extend(frame(FIN | CLOSE, b"\x03\xe8"));
        let expected = vec![
            Incoming::Text("one".to_owned()),
            Incoming::Ping(Bytes::from_static(b"there?")),
            Incoming::Text("tw\u{f6}!".to_owned()),
            Incoming::Pong,
            Incoming::Text(long.clone()),
            Incoming::Text(long.clone()),
            Incoming::Binary,
            Incoming::Close,
        ];
        for size in [1, 2, 3, 7, 100, 4096, usize::MAX] {
            assert_eq!(
                read(&bytes, size, long.len(), true),
                (expected.clone(), None),
                "{size}"
            );
        }
    }

    /// Attack T65: messages that become too large, by compression, in pieces, or byte by byte.
    #[test]
    fn what_breaks_the_rules_is_told() {
        let unmasked = vec![FIN | TEXT, 1, b'x'];
        let endless = vec![
            FIN | TEXT,
            MASKED | 127,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
        ];
        let mut pieces = frame(TEXT, &[b'x'; 60]);
        pieces.extend(frame(FIN | CONTINUATION, &[b'x'; 60]));
        let mut torn = frame(TEXT, b"x");
        torn.extend(frame(FIN | TEXT, b"x"));
        let bomb = frame(FIN | TEXT | COMPRESSED, &compressed(&"x".repeat(10_000)));
        for (name, bytes, expected) in [
            ("unmasked", unmasked, close_code::PROTOCOL),
            (
                "a kind that there is not",
                frame(FIN | 0x3, b""),
                close_code::PROTOCOL,
            ),
            (
                "reserved bits",
                frame(FIN | TEXT | 0x20, b""),
                close_code::PROTOCOL,
            ),
            ("a long ping", frame(FIN | PING, &[0; 126]), close_code::PROTOCOL),
            ("a ping in pieces", frame(PING, b""), close_code::PROTOCOL),
            (
                "a compressed ping",
                frame(FIN | PING | COMPRESSED, b""),
                close_code::PROTOCOL,
            ),
            (
                "nothing to continue",
                frame(FIN | CONTINUATION, b""),
                close_code::PROTOCOL,
            ),
            ("a message in a message", torn, close_code::PROTOCOL),
            ("too large by its head", endless, close_code::TOO_LARGE),
            ("too large in pieces", pieces, close_code::TOO_LARGE),
            ("too large when read", bomb, close_code::TOO_LARGE),
            ("no UTF-8", frame(FIN | TEXT, b"\xff"), close_code::INVALID_TEXT),
            (
                "not compressed",
                frame(FIN | TEXT | COMPRESSED, b"\xff\xff"),
                close_code::INVALID_TEXT,
            ),
        ] {
            assert_eq!(
                read(&bytes, usize::MAX, 100, true),
                (vec![], Some(expected)),
                "{name}"
            );
            assert_eq!(
                read(&bytes, 1, 100, true),
                (vec![], Some(expected)),
                "{name}, byte by byte"
            );
        }
        let unagreed = frame(FIN | TEXT | COMPRESSED, &compressed("x"));
        let (_, code) = read(&unagreed, usize::MAX, 100, false);
        assert_eq!(code, Some(close_code::PROTOCOL));
    }
}
