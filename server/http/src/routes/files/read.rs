//! `GET` and `HEAD` of a file: its bytes, parts of them, or its metadata.

use std::ops::{Range, RangeInclusive};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use andiron_files::{ByteStream, Files, FilesError, LinkMethod, StoredFile, Variant};
use andiron_protocol::{ErrorCode, Version};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::range::{RANGES_MAX, Ranges, parse};
use super::{file_name, metadata_answer, not_found, serving};
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::compression::NotCompressed;
use crate::conditional::{Conditions, ReadVerdict};
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// What may stand in the URL.
const PARAMETERS: [&str; 9] = [
    "metadata", "version", "link", "variant", "width", "height", "fit", "format", "quality",
];
/// Pieces of a file on their way to the client.
const PIECES_MAX: usize = 2;
/// Random bytes of the boundary between the parts of an answer: no file can have it by design.
const BOUNDARY_BYTES: usize = 16;

/// Read a file
///
/// The bytes, with `ETag`, `Last-Modified` and `Repr-Digest`; `Range` gives a part, or up to 16 parts as
/// `multipart/byteranges`. With `?metadata=true`, what is known of the file, as JSON.
///
/// Only types that can neither run nor load anything are shown by a browser: PNG, JPEG, GIF, WebP, AVIF and BMP images,
/// audio and video, plain text. All others are downloads.
///
/// ```sh
/// curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8750/api/v1/files/main/photos/cat.png -o cat.png
/// ```
#[utoipa::path(
    get,
    path = "/api/v1/files/{bucket}/{*name}",
    operation_id = "readFile",
    tag = "Files",
    params(
        ("bucket" = String, Path, description = "The bucket", example = "main"),
        ("name" = String, Path, description = "The file's name, each segment percent-encoded", example = "photos/cat.png"),
        ("metadata" = Option<bool>, Query, description = "Answer with the metadata in the place of the bytes", nullable = false),
        ("version" = Option<String>, Query, description = "The file as it was right after the last commit at or before this version, within the history that is kept; it must be readable to the caller as it was and as it is now, by the rules or as an administrator", nullable = false),
        ("link" = Option<String>, Query, description = "The token of a link to read, which no credentials go with", nullable = false),
        ("variant" = Option<String>, Query, description = "The name of a preset: the image made smaller, cut or in another format", nullable = false),
        ("width" = Option<u32>, Query, description = "A variant of an image, this wide at most", nullable = false),
        ("height" = Option<u32>, Query, description = "And this high", nullable = false),
        ("fit" = Option<String>, Query, description = "`inside` (the default), `cover` or `contain`", nullable = false),
        ("format" = Option<String>, Query, description = "`jpeg`, `png`, `webp` or `avif`; as the image is by default. An AVIF has at most 2,100,000 pixels", nullable = false),
        ("quality" = Option<u32>, Query, description = "Of a JPEG, a WebP or an AVIF, from 1 to 100, 80 by default; a WebP of 100 loses nothing", nullable = false),
        ("Range" = Option<String>, Header, description = "The bytes to answer with, as in `bytes=0-1023`", nullable = false),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of the parts that the client has: of another file it gets the whole", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "Versions in quotes, or `*`; 304 if the file is at one of them", nullable = false),
        ("If-Match" = Option<String>, Header, description = "412 unless the file is at one of these versions", nullable = false),
    ),
    responses(
        (status = 200, description = "The bytes, or the metadata", content((String = "application/octet-stream"), (schemas::File = "application/json"))),
        (status = 206, description = "The parts that `Range` names"),
        (status = 304, description = "The client has this version already"),
        (status = 404, description = "There is no such file", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The file is not as the conditions demand", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 413, description = "The image is too large for variants to be made of it, or this one takes more than `files.variant_memory`", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 415, description = "It is no image of which variants are made", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 416, description = "The file has none of these bytes, some are asked for twice, or there are more than 16 ranges", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let name = file_name(request.uri().path())?;
    let parameters = Parameters::read(request.uri().query(), &PARAMETERS)?;
    let wants_metadata = parameters.flag("metadata")?;
    let conditions = Conditions::read(request.headers())?;
    let link = match parameters.get("link") {
        Some(token) => Some(app.files.open_link(token, LinkMethod::Get, &name)?),
        None => None,
    };
    let file = match &link {
        Some(link) => app.files.get_by_link(link)?,
        None => match parameters.parsed::<Version>("version")? {
            None => app.files.get(&caller, &name)?,
            Some(version) => app.files.get_at(&caller, &name, version)?,
        },
    };
    let Some(mut file) = file else {
        return Err(not_found(&name));
    };
    let variant = wanted_variant(&app, &parameters)?;
    if parameters.get("version").is_some() && (link.is_some() || variant.is_some()) {
        return Err(ApiError::invalid("links and variants are of the file as it is").in_field("version"));
    }
    match &variant {
        Some(variant) => app.files.check_variant(&file, variant, link.as_ref())?,
        // Who was given a variant was not given the image, nor what is known of it.
        None if link.as_ref().is_some_and(|link| link.variant.is_some()) => {
            return Err(FilesError::LinkInvalid.into());
        }
        None => {}
    }
    if wants_metadata && link.as_ref().is_some_and(|link| link.variant.is_some()) {
        return Err(FilesError::LinkInvalid.into());
    }
    if let Some(name) = link.and_then(|link| link.download_name) {
        file.record.settings.content_disposition = Some(serving::download_as(&name));
    }
    match judge(&conditions, &file, request.headers()) {
        ReadVerdict::Answer => {}
        ReadVerdict::NotModified => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            serving::add_validators(&file, response.headers_mut());
            return Ok(response);
        }
        ReadVerdict::Failed => {
            return Err(
                ApiError::precondition_failed(format!("`{name}` is not as the conditions demand"))
                    .about(&name),
            );
        }
    }
    if wants_metadata {
        return Ok(metadata_answer(StatusCode::OK, &file));
    }
    if let Some(variant) = variant {
        file = app.files.variant(&file, variant).await?;
    }
    let is_head = request.method() == Method::HEAD;
    bytes(&app, file, request.headers(), is_head).await
}

/// The variant of an image that is asked for, by its name or by what it is like.
fn wanted_variant(app: &AppRef, parameters: &Parameters<'_>) -> Result<Option<Variant>, ApiError> {
    let asked = Variant::read(|name| parameters.get(name))?;
    match (parameters.get("variant"), asked) {
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("a variant has a name or parameters, not both").in_field("variant"))
        }
        (Some(name), None) => Ok(Some(app.files.preset(name)?)),
        (None, asked) => Ok(asked),
    }
}

/// The conditions in the order of RFC 9110, section 13.2.2.
fn judge(conditions: &Conditions, file: &StoredFile, headers: &HeaderMap) -> ReadVerdict {
    let verdict = conditions.judge_read(file.version);
    if verdict != ReadVerdict::Answer {
        return verdict;
    }
    let since = |name| serving::is_modified_since(file, headers.get(name));
    if !headers.contains_key("if-match") && since(IF_UNMODIFIED_SINCE) == Some(true) {
        return ReadVerdict::Failed;
    }
    if !headers.contains_key(IF_NONE_MATCH) && since(IF_MODIFIED_SINCE) == Some(false) {
        return ReadVerdict::NotModified;
    }
    ReadVerdict::Answer
}

async fn bytes(
    app: &AppRef,
    file: StoredFile,
    headers: &HeaderMap,
    is_head: bool,
) -> Result<Response, ApiError> {
    let size = file.record.size;
    // `Range` means something for GET alone.
    let ranges = if !is_head && serving::allows_range(&file, headers.get(IF_RANGE)) {
        parse(headers.get(RANGE).map(HeaderValue::as_bytes), size)
    } else {
        Ranges::Whole
    };
    let mut response = Response::new(Body::empty());
    serving::add_headers(&file, response.headers_mut());
    response.extensions_mut().insert(NotCompressed);
    let (parts, length) = match ranges {
        Ranges::Whole => (vec![Piece::Bytes(0..size)], size),
        Ranges::Unsatisfiable => return Ok(unsatisfiable(size)),
        Ranges::Parts(ranges) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            match <[RangeInclusive<u64>; 1]>::try_from(ranges) {
                Ok([range]) => {
                    set(
                        response.headers_mut(),
                        CONTENT_RANGE,
                        &content_range(&range, size),
                    );
                    let length = range.end() - range.start() + 1;
                    (vec![Piece::Bytes(half_open(&range))], length)
                }
                Err(ranges) => multipart(app, &file, &ranges, response.headers_mut()),
            }
        }
    };
    if is_head {
        set(response.headers_mut(), CONTENT_LENGTH, &length.to_string());
        return Ok(response);
    }
    // Until something has come the answer can still be a problem.
    *response.body_mut() = body(app, file, parts, length).await?;
    Ok(response)
}

/// What is sent, in order.
enum Piece {
    Text(Bytes),
    Bytes(Range<u64>),
}

/// Several ranges in one answer, each with a head that says which it is.
fn multipart(
    app: &AppRef,
    file: &StoredFile,
    ranges: &[RangeInclusive<u64>],
    headers: &mut HeaderMap,
) -> (Vec<Piece>, u64) {
    let mut random = [0; BOUNDARY_BYTES];
    app.engine.fill_random(&mut random);
    let boundary = random
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let content_type = file.record.content_type.as_str();
    let mut pieces = Vec::with_capacity(RANGES_MAX * 2 + 1);
    let mut length = 0;
    for (index, range) in ranges.iter().enumerate() {
        let break_before = if index == 0 { "" } else { "\r\n" };
        let head = format!(
            "{break_before}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {}\r\n\r\n",
            content_range(range, file.record.size)
        );
        length += head.len() as u64 + range.end() - range.start() + 1;
        pieces.push(Piece::Text(Bytes::from(head)));
        pieces.push(Piece::Bytes(half_open(range)));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    length += end.len() as u64;
    pieces.push(Piece::Text(Bytes::from(end)));
    set(
        headers,
        CONTENT_TYPE,
        &format!("multipart/byteranges; boundary={boundary}"),
    );
    (pieces, length)
}

fn half_open(range: &RangeInclusive<u64>) -> Range<u64> {
    *range.start()..range.end() + 1
}

fn content_range(range: &RangeInclusive<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start(), range.end())
}

fn set(headers: &mut HeaderMap, name: axum::http::HeaderName, value: &str) {
    // Our own text, of ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn unsatisfiable(size: u64) -> Response {
    let error = ApiError::new(
        ErrorCode::OutOfRange,
        format!(
            "the file has {size} bytes, and `Range` names none of them, some of them twice, or more than {RANGES_MAX} ranges"
        ),
    )
    .with_status(StatusCode::RANGE_NOT_SATISFIABLE)
    .in_field("Range");
    let mut response = error.into_response();
    set(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

/// The pieces as a body, once the first bytes of it are here.
async fn body(app: &AppRef, file: StoredFile, pieces: Vec<Piece>, length: u64) -> Result<Body, ApiError> {
    let mut reading = Reading {
        files: app.files.clone(),
        file,
        pieces: pieces.into_iter(),
        stream: None,
    };
    let first = reading.next().await?.unwrap_or_default();
    if first.len() as u64 == length {
        return Ok(Body::from(first));
    }
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::spawn(reading.send(sender, app.options.write_stall_max));
    Ok(Body::new(FileBody {
        first: Some(first),
        pieces: receiver,
        left: length,
    }))
}

/// What is left of an answer.
struct Reading {
    files: Files,
    file: StoredFile,
    pieces: std::vec::IntoIter<Piece>,
    stream: Option<ByteStream>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, FilesError> {
        loop {
            if let Some(stream) = &mut self.stream {
                match stream.next().await? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => self.stream = None,
                }
            }
            match self.pieces.next() {
                Some(Piece::Text(text)) => return Ok(Some(text)),
                Some(Piece::Bytes(range)) => self.stream = Some(self.files.read(&self.file, range).await?),
                None => return Ok(None),
            }
        }
    }

    /// Reads on, a few pieces ahead of the client.
    async fn send(mut self, sender: mpsc::Sender<Result<Bytes, FilesError>>, stall_max: Duration) {
        loop {
            let next = match self.next().await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "a file could not be read to its end");
                    Err(error)
                }
            };
            let is_last = next.is_err();
            // A client that takes nothing for too long has its connection ended by the server; then nobody receives.
            if sender.send_timeout(next, stall_max * 2).await.is_err() || is_last {
                return;
            }
        }
    }
}

/// A body that is read as it is sent.
struct FileBody {
    first: Option<Bytes>,
    pieces: mpsc::Receiver<Result<Bytes, FilesError>>,
    left: u64,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = FilesError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FilesError>>> {
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => std::task::ready!(self.pieces.poll_recv(context)),
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => Some(Err(error)),
            // Fewer bytes than were announced are no end.
            None if self.left > 0 => {
                self.left = 0;
                Some(Err(FilesError::Internal("a file ended early".to_owned())))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
