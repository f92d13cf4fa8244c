//! As much of HTTP/1.1 as a load generator needs: finding the end of an answer, and a blocking client for set-up.
//!
//! Invariant: [`Progress::advance`] never looks at a byte twice while it searches, however an answer is cut into pieces.
//! Left out: pipelining, trailers with meaning, interim (1xx) answers; no server under test sends them unasked.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use memchr::memmem;

use crate::{BenchError, io};

/// An answer's head may be this long; longer ones are refused.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// An answer may be this long; longer ones are refused.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long the blocking client waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer that has arrived whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// The status code.
    pub status: u16,
    /// Where the body begins.
    pub head_len: usize,
    /// Where the answer ends.
    pub len: usize,
}

/// How far the answer at the front of a buffer has been read.
#[derive(Debug, Default)]
pub struct Progress {
    searched: usize,
    head: Option<Head>,
}

#[derive(Debug)]
struct Head {
    status: u16,
    len: usize,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Length(usize),
    /// Where the next chunk's size line begins.
    Chunked(usize),
}

impl Progress {
    /// Looks at what has arrived so far, from the answer's first byte on. Gives the answer once it is whole; then a new
    /// `Progress` starts for the next one.
    ///
    /// # Errors
    /// The bytes are no HTTP/1.1 answer, have no length, or are beyond the limits.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Option<Whole>, BenchError> {
        let head = match &mut self.head {
            Some(head) => head,
            None => {
                let Some(at) = memmem::find(&buffer[self.searched..], b"\r\n\r\n") else {
                    if buffer.len() > HEAD_BYTES_MAX {
                        return Err(BenchError::Answer("head beyond the limit"));
                    }
                    // The end may lie across two pieces, so the last three bytes are looked at again.
                    self.searched = buffer.len().saturating_sub(3);
                    return Ok(None);
                };
                let len = self.searched + at + 4;
                self.head.insert(parse_head(&buffer[..len])?)
            }
        };
        let end = match &mut head.body {
            Body::Length(length) => head.len + *length,
            Body::Chunked(at) => match skip_chunks(buffer, at)? {
                Some(end) => end,
                None if buffer.len() > ANSWER_BYTES_MAX => {
                    return Err(BenchError::Answer("body beyond the limit"));
                }
                None => return Ok(None),
            },
        };
        if end > ANSWER_BYTES_MAX {
            return Err(BenchError::Answer("body beyond the limit"));
        }
        Ok((buffer.len() >= end).then_some(Whole {
            status: head.status,
            head_len: head.len,
            len: end,
        }))
    }
}

/// What the head at the front of a buffer announces, once it is there whole: of answers that say their length, whatever
/// that is.
///
/// # Errors
/// The bytes are no HTTP/1.1 answer, or one that does not say its length.
pub(crate) fn announced(buffer: &[u8]) -> Result<Option<Whole>, BenchError> {
    let Some(at) = memmem::find(buffer, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = parse_head(&buffer[..at + 4])?;
    match head.body {
        Body::Length(length) => Ok(Some(Whole {
            status: head.status,
            head_len: head.len,
            len: head.len + length,
        })),
        Body::Chunked(_) => Err(BenchError::Answer("its length is not said")),
    }
}

fn parse_head(head: &[u8]) -> Result<Head, BenchError> {
    let digits = match head {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'0' | b'1',
            b' ',
            digits @ ..,
        ] => digits,
        _ => return Err(BenchError::Answer("no HTTP/1.1 status line")),
    };
    let status = digits
        .get(..3)
        .and_then(|code| std::str::from_utf8(code).ok())
        .and_then(|code| code.parse::<u16>().ok())
        .ok_or(BenchError::Answer("no status code"))?;
    let mut body = None;
    let mut rest = head;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        // Comparing first bytes first keeps the other dozen header lines nearly free.
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = header_value(line, b"content-length") {
                    let length = std::str::from_utf8(value)
                        .ok()
                        .and_then(|value| value.trim().parse().ok());
                    body = Some(Body::Length(
                        length.ok_or(BenchError::Answer("content-length is no number"))?,
                    ));
                }
            }
            Some(b't' | b'T') => {
                let coding = header_value(line, b"transfer-encoding");
                if coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
                    body = Some(Body::Chunked(head.len()));
                }
            }
            _ => {}
        }
    }
    let body = match (body, status) {
        (_, 204 | 304) => Body::Length(0),
        (Some(body), _) => body,
        (None, _) => return Err(BenchError::Answer("neither content-length nor chunked")),
    };
    Ok(Head {
        status,
        len: head.len(),
        body,
    })
}

fn header_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (key, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    key.eq_ignore_ascii_case(name).then_some(value)
}

/// Steps over the chunks that are there whole; gives the end of the answer once the last one is.
fn skip_chunks(buffer: &[u8], at: &mut usize) -> Result<Option<usize>, BenchError> {
    loop {
        let Some((size, data)) = chunk_at(buffer, *at)? else {
            return Ok(None);
        };
        // Data, then a line end; the last chunk has no data, only the line end (no server here sends trailers).
        let next = data + size + 2;
        if buffer.len() < next {
            return Ok(None);
        }
        if &buffer[next - 2..next] != b"\r\n" {
            return Err(BenchError::Answer("a chunk does not end where it says"));
        }
        if size == 0 {
            return Ok(Some(next));
        }
        *at = next;
    }
}

/// The size of the chunk whose size line begins at `at`, and where its data begins.
fn chunk_at(buffer: &[u8], at: usize) -> Result<Option<(usize, usize)>, BenchError> {
    let Some(end) = buffer.get(at..).and_then(|rest| memmem::find(rest, b"\r\n")) else {
        return Ok(None);
    };
    let line = &buffer[at..at + end];
    let digits = line
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or(line)
        .trim_ascii();
    let size = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok());
    match size {
        Some(size) if size <= ANSWER_BYTES_MAX => Ok(Some((size, at + end + 2))),
        Some(_) => Err(BenchError::Answer("body beyond the limit")),
        None => Err(BenchError::Answer("a chunk's size is no hexadecimal number")),
    }
}

/// The body of a whole answer, chunks joined.
///
/// # Errors
/// The bytes are not those that [`Progress::advance`] found whole.
pub fn body(buffer: &[u8], whole: &Whole) -> Result<Vec<u8>, BenchError> {
    let head = parse_head(&buffer[..whole.head_len])?;
    match head.body {
        Body::Length(_) => Ok(buffer[whole.head_len..whole.len].to_vec()),
        Body::Chunked(mut at) => {
            let mut joined = Vec::with_capacity(whole.len - whole.head_len);
            while let Some((size, data)) = chunk_at(&buffer[..whole.len], at)? {
                joined.extend_from_slice(&buffer[data..data + size]);
                if size == 0 {
                    break;
                }
                at = data + size + 2;
            }
            Ok(joined)
        }
    }
}

/// Writes a request's bytes. `headers` are whole lines without their ends.
#[must_use]
pub fn request(method: &str, target: &str, headers: &[&str], body: Option<&[u8]>) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n").into_bytes();
    for header in headers {
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(body) = body {
        let length = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        out.extend_from_slice(length.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body.unwrap_or_default());
    out
}

/// A blocking keep-alive connection, for what happens before and between measurements.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A connection that waits for an answer for so long.
pub(crate) fn connect(address: SocketAddr, answer_timeout: Duration) -> Result<TcpStream, BenchError> {
    let stream = TcpStream::connect(address).map_err(io(format!("connecting to {address}")))?;
    stream.set_nodelay(true).map_err(io("TCP_NODELAY"))?;
    stream
        .set_read_timeout(Some(answer_timeout))
        .map_err(io("a read timeout"))?;
    Ok(stream)
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn connect(address: SocketAddr) -> Result<Self, BenchError> {
        Ok(Self {
            stream: connect(address, ANSWER_TIMEOUT)?,
            buffer: Vec::new(),
        })
    }

    /// Sends a request made by [`request`] and gives the answer's status and body.
    ///
    /// # Errors
    /// The connection broke or the answer is malformed; a status of failure is no error here.
    pub fn send(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>), BenchError> {
        self.stream.write_all(request).map_err(io("sending a request"))?;
        self.buffer.clear();
        let mut progress = Progress::default();
        let mut piece = [0; 16 * 1024];
        loop {
            let count = self.stream.read(&mut piece).map_err(io("reading an answer"))?;
            if count == 0 {
                return Err(BenchError::Answer("the connection ended before the answer did"));
            }
            self.buffer.extend_from_slice(&piece[..count]);
            if let Some(whole) = progress.advance(&self.buffer)? {
                return Ok((whole.status, body(&self.buffer, &whole)?));
            }
        }
    }

    /// As [`Client::send`], for a request that has to succeed; gives the body.
    ///
    /// # Errors
    /// As `send`, or another status than `expected`.
    pub fn expect(&mut self, what: &str, expected: u16, request: &[u8]) -> Result<Vec<u8>, BenchError> {
        let (status, body) = self.send(request)?;
        if status == expected {
            return Ok(body);
        }
        Err(BenchError::Status {
            what: what.to_owned(),
            expected,
            status,
            body: excerpt(&body),
        })
    }
}

/// The start of a body, for a message.
#[must_use]
pub fn excerpt(body: &[u8]) -> String {
    const EXCERPT_BYTES: usize = 400;
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]).into_owned()
}
