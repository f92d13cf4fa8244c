//! Compression of answers: over 1 KiB, for clients that accept it, at quick levels.
//!
//! A body whose size is known and modest is compressed in one go, any other piece by piece as it is sent. Small
//! answers and clients that accept nothing pay one header look-up.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::problem::ApiError;

/// Bytes up to which compressing costs more than it gains.
const COMPRESSED_BYTES_MIN: u64 = 1024;
/// Bytes that are compressed in one go, on the thread that serves the connection.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Levels that keep up with a network: what they save must not cost more than sending it.
const ZSTD_LEVEL: i32 = 1;
const BROTLI_QUALITY: u32 = 3;
const GZIP_LEVEL: u32 = 3;
/// Base-2 logarithm of the bytes that brotli looks back on.
const BROTLI_WINDOW_LOG: u32 = 19;
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Beside an answer, says that it goes out as it is: its ranges are those of what is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotCompressed;

/// A content coding, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding that a client likes best, ours first among equals.
    pub(crate) fn negotiate(accept_encoding: &HeaderValue) -> Option<Self> {
        let accepted = accept_encoding.to_str().ok()?;
        let mut qualities = [None; 3];
        let mut other = None;
        for element in accepted.split(',') {
            let mut parts = element.split(';');
            let name = parts.next().unwrap_or_default().trim();
            let quality = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1.0, |quality| quality.parse::<f32>().unwrap_or(0.0));
            if name == "*" {
                other = Some(quality);
            }
            for (coding, slot) in Self::ALL.iter().zip(&mut qualities) {
                if name.eq_ignore_ascii_case(coding.name()) {
                    *slot = Some(quality);
                }
            }
        }
        let mut best = None;
        for (coding, quality) in Self::ALL.into_iter().zip(qualities) {
            let quality = quality.or(other).unwrap_or(0.0);
            if quality > 0.0 && best.is_none_or(|(_, best)| quality > best) {
                best = Some((coding, quality));
            }
        }
        best.map(|(coding, _)| coding)
    }
}

/// Compresses an answer if that is worth it and the client accepts it.
pub(crate) fn compress(response: Response, accept_encoding: Option<&HeaderValue>) -> Response {
    let size = response.body().size_hint().exact();
    let is_kept = is_event_stream(&response) || response.extensions().get::<NotCompressed>().is_some();
    if is_kept || size.is_some_and(|bytes| bytes <= COMPRESSED_BYTES_MIN) {
        return response;
    }
    let (mut parts, mut body) = response.into_parts();
    // Whether or not it is compressed this time, it depends on the request.
    parts
        .headers
        .append(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    let Some(coding) = accept_encoding.and_then(Coding::negotiate) else {
        return Response::from_parts(parts, body);
    };
    let compressed = ready_data(&mut body).and_then(|first| {
        if size == u64::try_from(first.len()).ok() && first.len() <= PIECE_BYTES_MAX {
            return Ok(Body::from(compress_whole(&first, coding)?));
        }
        Ok(Body::new(CompressedBody {
            inner: body,
            pending: first,
            encoder: Some(Encoder::new(coding)?),
        }))
    });
    match compressed {
        Ok(body) => {
            parts
                .headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, body)
        }
        Err(error) => {
            ApiError::internal(format!("an answer could not be compressed: {error}")).into_response()
        }
    }
}

/// Events go out one by one, as they happen: each alone is little.
fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// What a body has at once; of one in memory that is all of it.
fn ready_data(body: &mut Body) -> io::Result<Bytes> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(body).poll_frame(&mut context) {
        Poll::Ready(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
        Poll::Ready(Some(Err(error))) => Err(io::Error::other(error)),
        // Asked again when it is sent, with somebody to wake.
        Poll::Ready(None) | Poll::Pending => Ok(Bytes::new()),
    }
}

fn compress_whole(plain: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    if coding == Coding::Zstd {
        // Knowing the size, zstd makes its tables no larger than need be.
        return zstd::bulk::compress(plain, ZSTD_LEVEL);
    }
    let mut encoder = Encoder::new(coding)?;
    encoder.write(plain)?;
    encoder.finish()
}

/// A compressor that is fed piece by piece and gives what has come out so far.
enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_LOG,
            ))),
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(GZIP_LEVEL),
            )),
        })
    }

    fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(plain),
            Self::Brotli(encoder) => encoder.write_all(plain),
            Self::Gzip(encoder) => encoder.write_all(plain),
        }
    }

    /// Lets out all that has been fed, so that a stream does not lag behind.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        })
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

/// A body that is compressed as it is sent.
struct CompressedBody {
    inner: Body,
    /// What has come from `inner` and is not yet compressed.
    pending: Bytes,
    /// `None` once the end is out.
    encoder: Option<Encoder>,
}

impl http_body::Body for CompressedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let body = self.get_mut();
        loop {
            let Some(encoder) = &mut body.encoder else {
                return Poll::Ready(None);
            };
            if !body.pending.is_empty() {
                let piece = body.pending.split_to(body.pending.len().min(PIECE_BYTES_MAX));
                let written = encoder.write(&piece).and_then(|()| {
                    if body.pending.is_empty() {
                        encoder.flush()
                    } else {
                        Ok(())
                    }
                });
                let compressed = encoder.take();
                match written {
                    Err(error) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
                    Ok(()) if compressed.is_empty() => continue,
                    Ok(()) => return Poll::Ready(Some(Ok(Frame::data(Bytes::from(compressed))))),
                }
            }
            match std::task::ready!(Pin::new(&mut body.inner).poll_frame(context)) {
                Some(Ok(frame)) => body.pending = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let Some(encoder) = body.encoder.take() else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(match encoder.finish() {
                        Ok(end) => Ok(Frame::data(Bytes::from(end))),
                        Err(error) => Err(axum::Error::new(error)),
                    }));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http_body_util::BodyExt as _;

    use super::*;

    fn negotiated(accept: &'static str) -> Option<Coding> {
        Coding::negotiate(&HeaderValue::from_static(accept))
    }

    #[test]
    fn the_client_chooses_and_we_choose_among_equals() {
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, br", Some(Coding::Brotli)),
            ("GZIP", Some(Coding::Gzip)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.5, zstd;q=0", Some(Coding::Brotli)),
            ("identity", None),
            ("gzip;q=0", None),
            ("deflate", None),
            ("", None),
        ] {
            assert_eq!(negotiated(accept), coding, "{accept}");
        }
    }

    fn decompressed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Zstd => plain = zstd::decode_all(bytes).unwrap(),
            Coding::Brotli => drop(
                brotli::Decompressor::new(bytes, 4096)
                    .read_to_end(&mut plain)
                    .unwrap(),
            ),
            Coding::Gzip => drop(
                flate2::read::GzDecoder::new(bytes)
                    .read_to_end(&mut plain)
                    .unwrap(),
            ),
        }
        plain
    }

    #[tokio::test]
    async fn what_is_compressed_comes_out_again_whole_or_piece_by_piece() {
        for bytes in [1025, PIECE_BYTES_MAX, 3 * PIECE_BYTES_MAX + 7] {
            let plain: Vec<u8> = (0..bytes)
                .map(|number| b'a' + u8::try_from(number * number % 23).unwrap())
                .collect();
            for coding in Coding::ALL {
                let accept = HeaderValue::from_static(coding.name());
                let response = compress(Response::new(Body::from(plain.clone())), Some(&accept));
                assert_eq!(response.headers()[CONTENT_ENCODING], coding.name());
                let compressed = response.into_body().collect().await.unwrap().to_bytes();
                assert!(compressed.len() < plain.len());
                assert_eq!(decompressed(coding, &compressed), plain, "{coding:?} of {bytes}");
            }
        }
    }
}
