//! `permessage-deflate` (RFC 7692) without memory of earlier messages.
//!
//! A compressed message is a chain of deflate blocks. Blocks that end on a byte can be put together from several sources: so
//! what many are told is compressed once, and what is each client's own stands around it as it is.

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What is agreed to: neither side looks back on earlier messages.
pub(super) const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// A level that keeps up with what is written.
const LEVEL: u32 = 1;
/// The window that is compressed with, as a power of two: there is no smaller one.
const WINDOW_BITS: &str = "15";
/// What compressed data ends with when all of it is to be there (RFC 7692, section 7.2.1); left out of a message.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];
/// The last byte of a message put together from blocks: with what is left out behind it, an empty block.
pub(super) const END: [u8; 1] = [0];
/// Bytes by which a message grows at a time while it is read.
const GROWTH_BYTES: usize = 16 * 1024;

/// Whether a header offers compression as it is done here.
pub(super) fn is_offered(extensions: &HeaderValue) -> bool {
    let Ok(extensions) = extensions.to_str() else {
        return false;
    };
    extensions.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        parts.next() == Some("permessage-deflate")
            && parts.all(|parameter| {
                let (name, value) = match parameter.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                    None => (parameter, None),
                };
                match name {
                    "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
                    "client_max_window_bits" => true,
                    "server_max_window_bits" => value == Some(WINDOW_BITS),
                    _ => false,
                }
            })
    })
}

/// Compresses text to blocks that end on a byte, with others before and after them.
pub(in super::super) fn pack(text: &[u8]) -> Bytes {
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    let mut packed = Vec::with_capacity(text.len() / 4 + 64);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let status = compress.compress_vec(&text[taken.min(text.len())..], &mut packed, FlushCompress::Sync);
        // All of it is there when there was room left behind it.
        if !matches!(status, Ok(Status::Ok)) || packed.len() < packed.capacity() {
            break;
        }
        packed.reserve(packed.capacity());
    }
    packed.into()
}

/// What stands before text in a block that holds it as it is. The text is short.
pub(super) fn stored_head(text: &str) -> [u8; 5] {
    let length = u16::try_from(text.len()).expect("what stands around changes is short");
    let [low, high] = length.to_le_bytes();
    [0, low, high, !low, !high]
}

/// Why a message could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    TooLarge,
    Corrupt,
}

/// Reads a compressed message that becomes no more than so many bytes.
pub(super) fn unpack(mut message: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, Unreadable> {
    message.extend_from_slice(&FLUSHED);
    let mut decompress = Decompress::new(false);
    let mut text = Vec::new();
    loop {
        if text.len() == text.capacity() {
            text.reserve(GROWTH_BYTES);
        }
        let taken = usize::try_from(decompress.total_in()).unwrap_or(usize::MAX);
        let before = (taken, text.len());
        let rest = message.get(taken..).unwrap_or_default();
        let status = decompress.decompress_vec(rest, &mut text, FlushDecompress::Sync);
        if text.len() > bytes_max {
            return Err(Unreadable::TooLarge);
        }
        match status {
            Ok(Status::StreamEnd) => return Ok(text),
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => return Err(Unreadable::Corrupt),
        }
        let taken = usize::try_from(decompress.total_in()).unwrap_or(usize::MAX);
        if taken >= message.len() && text.len() < text.capacity() {
            return Ok(text);
        }
        if (taken, text.len()) == before && text.len() < text.capacity() {
            return Err(Unreadable::Corrupt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_between_short_text_is_read_as_one() {
        for count in [0, 1, 10, 1_000, 100_000] {
            let shared = "{\"number\":12,\"text\":\"é\"}".repeat(count);
            let packed = pack(shared.as_bytes());
            assert!(packed.ends_with(&FLUSHED));
            let mut message = Vec::new();
            for part in [&b"{"[..], &packed, b"}"] {
                if part.len() == 1 {
                    let text = std::str::from_utf8(part).expect("text");
                    message.extend_from_slice(&stored_head(text));
                }
                message.extend_from_slice(part);
            }
            message.extend_from_slice(&END);
            let expected = format!("{{{shared}}}").into_bytes();
            assert_eq!(
                unpack(message.clone(), expected.len()),
                Ok(expected.clone()),
                "{count}"
            );
            assert_eq!(
                unpack(message, expected.len() - 1),
                Err(Unreadable::TooLarge),
                "{count}"
            );
        }
    }

    #[test]
    fn offers_are_taken_if_they_can_be_kept() {
        let is_offered = |text: &'static str| is_offered(&HeaderValue::from_static(text));
        assert!(is_offered("permessage-deflate"));
        assert!(is_offered("permessage-deflate; client_max_window_bits"));
        assert!(is_offered(
            "foo, permessage-deflate;client_max_window_bits=\"10\" ; server_max_window_bits=15"
        ));
        assert!(is_offered(
            "permessage-deflate; server_max_window_bits=10, permessage-deflate"
        ));
        assert!(!is_offered("permessage-deflate; server_max_window_bits=10"));
        assert!(!is_offered("permessage-deflate; unknown"));
        assert!(!is_offered("permessage-deflated"));
        assert!(!is_offered(""));
    }

    #[test]
    fn what_is_not_compressed_is_said_to_be_corrupt() {
        assert_eq!(unpack(b"\xff\xff\xff".to_vec(), 100), Err(Unreadable::Corrupt));
        assert_eq!(unpack(vec![0x07; 40], 100), Err(Unreadable::Corrupt));
    }
}
