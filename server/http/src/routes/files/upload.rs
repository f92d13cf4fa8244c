//! `PUT` of a file: bytes streamed into the storage as they come.

use andiron_files::{ContentType, Digests, FileSettings, LinkMethod, UploadRequest};
use andiron_protocol::InputError;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_RANGE, CONTENT_TYPE,
    EXPECT, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body::Body as _;

use super::{FILES_PREFIX, file_name, guard, metadata_answer};
use crate::app::AppRef;
use crate::body::{discard, next_frame};
use crate::caller::CallerOf;
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// What the headers begin with that become a file's own metadata.
pub(crate) const METADATA_PREFIX: &str = "x-meta-";
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Upload a file
///
/// The body is the file. It is there, whole, once this is answered; until then the file that was there before is.
/// `Content-Type` is kept as far as the bytes do not contradict it. Headers that begin with `X-Meta-` become the file's own
/// metadata, under the rest of their names in lowercase. `Content-Digest` (`sha-256`) and `Content-MD5` are verified.
///
/// The rules' `create` is asked twice: before any bytes are taken, with what the headers say, and of what has arrived.
///
/// ```sh
/// curl -T cat.png -H "Authorization: Bearer $KEY" -H "Content-Type: image/png" \
///   http://127.0.0.1:8750/api/v1/files/main/photos/cat.png
/// ```
#[utoipa::path(
    put,
    path = "/api/v1/files/{bucket}/{*name}",
    operation_id = "uploadFile",
    tag = "Files",
    params(
        ("bucket" = String, Path, description = "The bucket", example = "main"),
        ("name" = String, Path, description = "The file's name, each segment percent-encoded", example = "photos/cat.png"),
        ("link" = Option<String>, Query, description = "The token of a link to upload, which no credentials go with", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "`*` uploads only if there is no such file", nullable = false),
        ("If-Match" = Option<String>, Header, description = "Overwrites only these versions, or with `*` only what is there", nullable = false),
        ("Content-Digest" = Option<String>, Header, description = "`sha-256=:…:` of the bytes", nullable = false),
        ("Content-MD5" = Option<String>, Header, description = "The MD5 of the bytes, in base64", nullable = false),
        ("Content-Disposition" = Option<String>, Header, description = "`attachment` if it is never to be shown, and a file name", nullable = false),
        ("Cache-Control" = Option<String>, Header, description = "What is said of caching when the file is read", nullable = false),
    ),
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes"),
    responses(
        (status = 200, description = "The file was overwritten", body = schemas::File),
        (status = 201, description = "The file is new", body = schemas::File),
        (status = 412, description = "The file that is there is not as the conditions demand", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 413, description = "The file is larger than files may be", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn upload(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, mut body) = request.into_parts();
    let waits = parts.headers.contains_key(EXPECT);
    let begun = begin(&parts.uri, &parts.headers, body.size_hint().exact()).and_then(|(request, link)| {
        Ok(match link {
            Some(token) => {
                let grant = app.files.open_link(&token, LinkMethod::Put, &request.name)?;
                app.files.begin_linked_upload(grant, request)?
            }
            None => app.files.begin_upload(&caller, request)?,
        })
    });
    let mut upload = match begun {
        Ok(upload) => upload,
        Err(error) => {
            // Who waits for `100 Continue` sends nothing after this answer; asking for the body would invite it.
            if !waits {
                discard(body).await;
            }
            return Err(error);
        }
    };
    while let Some(frame) = next_frame(&mut body, app.options.body_pause_max).await? {
        let Ok(data) = frame.into_data() else { continue };
        if let Err(error) = upload.write(&data).await {
            discard(body).await;
            return Err(error.into());
        }
    }
    let published = upload.finish().await?;
    let status = if published.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = metadata_answer(status, &published.file);
    if let Ok(location) = HeaderValue::from_str(parts.uri.path()) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// What is to be uploaded, and the link by which it may be, if there is one.
fn begin(
    uri: &axum::http::Uri,
    headers: &HeaderMap,
    size: Option<u64>,
) -> Result<(UploadRequest, Option<String>), ApiError> {
    debug_assert!(uri.path().starts_with(FILES_PREFIX));
    let link = Parameters::read(uri.query(), &["link"])?
        .get("link")
        .map(ToOwned::to_owned);
    let name = file_name(uri.path())?;
    if headers.contains_key(CONTENT_RANGE) {
        return Err(
            ApiError::invalid("a file is uploaded whole; `Content-Range` has no meaning here")
                .in_field("Content-Range"),
        );
    }
    let content_type = text(headers, &CONTENT_TYPE)?
        .map(|text| ContentType::parse(&text).map_err(|error| error.in_field("Content-Type")))
        .transpose()?;
    let request = UploadRequest {
        name,
        size,
        content_type,
        settings: FileSettings {
            cache_control: text(headers, &CACHE_CONTROL)?,
            content_disposition: text(headers, &CONTENT_DISPOSITION)?,
            content_encoding: text(headers, &CONTENT_ENCODING)?
                .map(|encoding| encoding.to_ascii_lowercase())
                .filter(|encoding| encoding != "identity"),
            content_language: text(headers, &CONTENT_LANGUAGE)?,
            metadata: metadata(headers)?,
        },
        digests: digests(headers)?,
        guard: guard(headers)?,
    };
    Ok((request, link))
}

fn metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, InputError> {
    let mut metadata = Vec::new();
    for name in headers.keys() {
        if let Some(own) = name.as_str().strip_prefix(METADATA_PREFIX)
            && let Some(value) = text(headers, name)?
        {
            metadata.push((own.to_owned(), value));
        }
    }
    Ok(metadata)
}

/// A header that is UTF-8 and given once.
fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, InputError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(InputError::new("this header is given twice").in_field(name.as_str()));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(_) => Err(InputError::new("this header is not UTF-8").in_field(name.as_str())),
    }
}

fn digests(headers: &HeaderMap) -> Result<Digests, InputError> {
    let malformed = |header: &str, form: &str| {
        InputError::new(format!("`{header}` is of the form `{form}`")).in_field(header)
    };
    let mut digests = Digests::default();
    if let Some(listed) = text(headers, &CONTENT_DIGEST)? {
        for entry in listed.split(',') {
            let Some((algorithm, digest)) = entry.trim().split_once('=') else {
                return Err(malformed("Content-Digest", "sha-256=:BASE64:"));
            };
            // Others are not computed, and a digest that is not understood is to be ignored (RFC 9530, section 2).
            if !algorithm.eq_ignore_ascii_case("sha-256") {
                continue;
            }
            let digest = digest
                .strip_prefix(':')
                .and_then(|digest| digest.strip_suffix(':'))
                .and_then(|digest| STANDARD.decode(digest).ok())
                .and_then(|digest| digest.try_into().ok());
            digests.sha256 = Some(digest.ok_or_else(|| malformed("Content-Digest", "sha-256=:BASE64:"))?);
        }
    }
    if let Some(digest) = text(headers, &CONTENT_MD5)? {
        let digest = STANDARD
            .decode(digest)
            .ok()
            .and_then(|digest| digest.try_into().ok());
        digests.md5 = Some(digest.ok_or_else(|| malformed("Content-MD5", "BASE64"))?);
    }
    Ok(digests)
}
