//! Reading the bodies of requests: as much as is allowed, in the time that is allowed.

use std::time::Duration;

use andiron_protocol::{ErrorCode, from_json};
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};

use crate::HttpOptions;
use crate::problem::ApiError;

/// Bytes of a body that is too large which are taken in and thrown away, so that the client is done sending and reads
/// the answer.
const DISCARDED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long that may take.
const DISCARDING_TIME_MAX: Duration = Duration::from_secs(2);

/// Reads a body that is to be JSON, as text.
///
/// # Errors
/// If it is declared as something else, longer than `bytes_max`, or does not come.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    options: &HttpOptions,
) -> Result<Bytes, ApiError> {
    check_is(headers, "application/json")?;
    read(headers, body, bytes_max, options.body_pause_max).await
}

/// Reads a JSON body into a type of the protocol.
///
/// # Errors
/// As [`read_json`], and if the JSON is not that of the type; with line and column.
pub(crate) async fn read_typed<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    options: &HttpOptions,
) -> Result<T, ApiError> {
    let json = read_json(headers, body, bytes_max, options).await?;
    // serde would take a list for the fields in their order, which nobody documents.
    if json.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::invalid("the body is an object, not a list"));
    }
    Ok(from_json(&json)?)
}

/// Reads a body that is to be a form as browsers post it, as text.
///
/// # Errors
/// As [`read_json`], and if it is not ASCII, as such forms are.
pub(crate) async fn read_form(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    options: &HttpOptions,
) -> Result<String, ApiError> {
    check_is(headers, "application/x-www-form-urlencoded")?;
    let form = read(headers, body, bytes_max, options.body_pause_max).await?;
    let text = String::from_utf8(form.into()).ok();
    text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| ApiError::invalid("this is no form"))
}

fn check_is(headers: &HeaderMap, content_type: &str) -> Result<(), ApiError> {
    let unsupported = |detail: &str, field: &str| {
        ApiError::invalid(detail)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .in_field(field)
    };
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(unsupported(
            "bodies are taken uncompressed only",
            "Content-Encoding",
        ));
    }
    if headers.get_all(CONTENT_TYPE).iter().count() > 1 {
        return Err(unsupported(
            "there is more than one `Content-Type` header",
            "Content-Type",
        ));
    }
    let is_such = headers.get(CONTENT_TYPE).is_none_or(|value| {
        let essence = value
            .as_bytes()
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(content_type.as_bytes())
    });
    if is_such {
        Ok(())
    } else {
        Err(unsupported(
            &format!("a body is `{content_type}`"),
            "Content-Type",
        ))
    }
}

async fn read(
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: usize,
    pause_max: Duration,
) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        // Who waits for `100 Continue` sends nothing after this answer; asking for the body would invite it.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large(bytes_max));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = next_frame(&mut body, pause_max).await? {
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > bytes_max {
            discard(body).await;
            return Err(too_large(bytes_max));
        }
        if first.is_empty() {
            // Most bodies are one piece, and then none of it is copied.
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// The next piece of a body; `None` at its end.
///
/// # Errors
/// If the body breaks off or nothing comes of it for too long.
pub(crate) async fn next_frame(
    body: &mut Body,
    pause_max: Duration,
) -> Result<Option<http_body::Frame<Bytes>>, ApiError> {
    match timeout(pause_max, body.frame()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(_))) => Err(ApiError::invalid("the body ended before it was complete")),
        Err(_) => Err(ApiError::new(
            ErrorCode::DeadlineExceeded,
            format!("no more of the body came for {} s", pause_max.as_secs_f32()),
        )
        .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// Takes in the rest of a body that is not wanted, within limits.
pub(crate) async fn discard(mut body: Body) {
    let until = Instant::now() + DISCARDING_TIME_MAX;
    let mut bytes = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        bytes += frame
            .data_ref()
            .map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        if bytes > DISCARDED_BYTES_MAX {
            break;
        }
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!("the body is larger than {bytes_max} bytes, which is the limit here"),
    )
}
