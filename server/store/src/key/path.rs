//! Ids and paths: never cut, and decodable.

use andiron_protocol::Direction;

use super::text::{write_content, write_text};
use super::{END, ESCAPE, SEPARATOR, direct, mask};

/// Appends an id. Any text may be encoded, also one that is no valid id, as the constant of a filter may be: all compare
/// by their UTF-8 bytes.
pub fn encode_id(id: &str, direction: Direction, out: &mut Vec<u8>) {
    let start = out.len();
    write_text(id.as_bytes(), usize::MAX, out);
    direct(direction, out, start);
}

/// Appends the path of a document or collection; paths compare segment by segment. The empty text, which stands before
/// every path, takes one byte.
pub fn encode_path(path: &str, direction: Direction, out: &mut Vec<u8>) {
    let start = out.len();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        write_content(segment.as_bytes(), usize::MAX, out);
    }
    out.push(END);
    direct(direction, out, start);
}

/// Reads the id at the beginning of `bytes` and how many bytes it takes; `None` if there is none.
pub fn decode_id(bytes: &[u8], direction: Direction) -> Option<(String, usize)> {
    decode(bytes, direction, None)
}

/// Reads the path at the beginning of `bytes` and how many bytes it takes; `None` if there is none. The segments are not
/// checked.
pub fn decode_path(bytes: &[u8], direction: Direction) -> Option<(String, usize)> {
    decode(bytes, direction, Some(b'/'))
}

fn decode(bytes: &[u8], direction: Direction, separator: Option<u8>) -> Option<(String, usize)> {
    let mask = mask(direction);
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().map(|byte| byte ^ mask).enumerate();
    loop {
        match rest.next()? {
            (index, END) => return Some((String::from_utf8(decoded).ok()?, index + 1)),
            (_, SEPARATOR) => decoded.push(separator?),
            (_, ESCAPE) => {
                let (_, byte) = rest.next()?;
                if byte > ESCAPE {
                    return None;
                }
                decoded.push(byte);
            }
            (_, byte) => decoded.push(byte),
        }
    }
}
