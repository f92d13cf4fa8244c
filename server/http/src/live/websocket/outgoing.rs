//! Frames on their way out, many at a time.
//!
//! Text that many get is not copied for each of them, and whatever waits for a client goes out in one write.

use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use super::deflate;

/// Shared text shorter than this is copied between what stands around it: that costs less than another piece to write.
const SHARED_BYTES_MIN: usize = 1024;

const TEXT: u8 = 0x81;
/// A text frame whose payload is compressed (RFC 7692, section 6).
const COMPRESSED_TEXT: u8 = TEXT | 0x40;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Frames to be written together.
#[derive(Default)]
pub(crate) struct Frames {
    /// What is written before, between and after shared text.
    own: BytesMut,
    /// Pieces in order.
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Frames {
    /// A text frame.
    pub(in super::super) fn text(&mut self, text: &str) {
        self.begin(TEXT, text.len());
        self.own.extend_from_slice(text.as_bytes());
    }

    /// A text frame of text with shared text in it.
    pub(in super::super) fn text_around(&mut self, before: &str, shared: &Bytes, after: &str) {
        self.begin(TEXT, before.len() + shared.len() + after.len());
        self.own.extend_from_slice(before.as_bytes());
        self.share(shared);
        self.own.extend_from_slice(after.as_bytes());
    }

    /// The same for a client that takes compressed frames: the shared text as [`deflate::pack`] has it, and around it what is
    /// too short to be compressed.
    pub(in super::super) fn text_around_packed(&mut self, before: &str, packed: &Bytes, after: &str) {
        let [before_head, after_head] = [before, after].map(deflate::stored_head);
        let length = before_head.len() + before.len() + packed.len() + after_head.len() + after.len();
        self.begin(COMPRESSED_TEXT, length + deflate::END.len());
        self.own.extend_from_slice(&before_head);
        self.own.extend_from_slice(before.as_bytes());
        self.share(packed);
        self.own.extend_from_slice(&after_head);
        self.own.extend_from_slice(after.as_bytes());
        self.own.extend_from_slice(&deflate::END);
    }

    fn share(&mut self, shared: &Bytes) {
        if shared.len() < SHARED_BYTES_MIN {
            self.own.extend_from_slice(shared);
        } else {
            self.end_own();
            self.pieces.push(shared.clone());
            self.bytes += shared.len();
        }
    }

    /// A ping.
    pub(in super::super) fn ping(&mut self) {
        self.begin(PING, 0);
    }

    /// The answer to a ping.
    pub(in super::super) fn pong(&mut self, payload: &[u8]) {
        self.begin(PONG, payload.len());
        self.own.extend_from_slice(payload);
    }

    /// The last frame. `reason` is short.
    pub(in super::super) fn close(&mut self, code: u16, reason: &str) {
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

    pub(super) fn finish(mut self) -> Pieces {
        self.end_own();
        Pieces {
            pieces: self.pieces,
            at: 0,
            left: self.bytes,
        }
    }
}

/// Pieces on their way out.
pub(super) struct Pieces {
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
            frames.pong(b"ab");
            frames.close(1012, "unavailable");
            let mut expected = b"\x81\x02{}\x81\x7f\0\0\0\0\0\x01\x11\x76{\"a\":".to_vec();
            expected.extend_from_slice(&shared);
            expected.extend_from_slice(b"}\x81\x08{\"a\":[]}\x89\x00\x8a\x02ab\x88\x0d\x03\xf4unavailable");
            assert_eq!(drain(frames.finish(), size), expected, "pieces of {size}");
        }
    }
}
