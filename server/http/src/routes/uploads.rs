//! `/api/v1/uploads`: uploads in several requests, by the tus protocol 1.0 (<https://tus.io/protocols/resumable-upload>).
//!
//! Extensions: creation (with upload, and with a length told later), checksum, expiration, termination, concatenation. Every
//! answer has `Tus-Resumable`, errors too. `X-HTTP-Method-Override` is refused: what a request is told by its method alone,
//! here as everywhere.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod headers;

use andiron_files::{ChecksumAlgorithm, Continuation, Progress, ResumableRequest, ResumableUpload, UploadId};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::answer;
use crate::app::AppRef;
use crate::body::{discard, next_frame};
use crate::caller::CallerOf;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::routes::files::{file_url, guard};
use headers::{
    CHECKSUM_ALGORITHMS, CONCAT, Concat, DEFER_LENGTH, EXPIRES, LENGTH, MAX_SIZE, METADATA, OFFSET,
    PATCH_TYPE, RESUMABLE, VERSION, checksum, concat, metadata, number, upload_request,
};

/// What stands before an upload's id in a URL.
const UPLOADS_PREFIX: &str = "/api/v1/uploads/";
/// The extensions that there are.
const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation";

/// What the server can do
///
/// The versions and extensions of tus, and the size of the largest file.
#[utoipa::path(
    options,
    path = "/api/v1/uploads",
    operation_id = "describeUploads",
    tag = "Files",
    responses((status = 204, description = "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size` and `Tus-Checksum-Algorithm` tell"))
)]
pub(crate) async fn options(State(app): State<AppRef>) -> Response {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(VERSION, HeaderValue::from_static("1.0.0"));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert(MAX_SIZE, HeaderValue::from(app.files.options().file_bytes_max));
    let algorithms = ChecksumAlgorithm::ALL.map(|(name, _)| name).join(",");
    if let Ok(algorithms) = HeaderValue::try_from(algorithms) {
        headers.insert(CHECKSUM_ALGORITHMS, algorithms);
    }
    with_version(Ok(response))
}

/// Begin a resumable upload
///
/// By the tus protocol 1.0, so that its clients do the rest. `Upload-Metadata` names the file: `bucket` and `name`, and if
/// there is something to say, `contentType` (or `filetype`), `cacheControl`, `contentDisposition`, `contentEncoding`,
/// `contentLanguage`, `sha256`; what else stands there becomes the file's own metadata. Each value is in base64.
///
/// The rules' `create` is asked here, with what is declared, and again of what has arrived. A condition is about the file as
/// it is now, and holds at the end if that is still there. An upload that nobody goes on with for a day is removed.
///
/// With `Upload-Concat: partial` it becomes part of a file, which is made with `Upload-Concat: final;URL URL …`; both name
/// the same file.
#[utoipa::path(
    post,
    path = "/api/v1/uploads",
    operation_id = "createUpload",
    tag = "Files",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes of the file", nullable = false),
        ("Upload-Defer-Length" = Option<String>, Header, description = "`1` if the length is told later", nullable = false),
        ("Upload-Metadata" = String, Header, description = "Names and values in base64", example = "bucket bWFpbg==,name Y2F0LnBuZw=="),
        ("Upload-Concat" = Option<String>, Header, description = "`partial`, or `final;` and the URLs of parts", nullable = false),
        ("Upload-Checksum" = Option<String>, Header, description = "Of the body, as in `sha1 …`", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "`*` uploads only if there is no such file", nullable = false),
        ("If-Match" = Option<String>, Header, description = "Overwrites only these versions", nullable = false),
    ),
    request_body(content = String, content_type = "application/offset+octet-stream", description = "The first of the bytes, or nothing"),
    responses(
        (status = 201, description = "`Location` is the upload's URL, `Upload-Offset` how far it is"),
        (status = 412, description = "This version of tus is not spoken here, or a condition does not hold", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 413, description = "The file is larger than files may be", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 460, description = "The bytes do not have the checksum", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let begun = async {
        check(&parts.headers, parts.uri.query())?;
        let note = metadata(&parts.headers)?;
        let mut request = ResumableRequest {
            upload: upload_request(&note, &parts.headers, guard(&parts.headers)?)?,
            is_partial: false,
            note,
        };
        let upload = match concat(&parts.headers)? {
            Some(Concat::Final(parts)) => app.files.concatenate(&caller, request, &parts).await?,
            other => {
                request.is_partial = other.is_some();
                app.files.create_resumable(&caller, request).await?
            }
        };
        Ok::<_, ApiError>(upload)
    };
    let upload = match begun.await {
        Ok(upload) => upload,
        Err(error) => {
            discard(body).await;
            return with_version(Err(error));
        }
    };
    let created = async {
        let has_body = parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == PATCH_TYPE);
        let upload = if has_body && upload.published.is_none() {
            let checksum = checksum(&parts.headers)?;
            let continuation = app
                .files
                .continue_resumable(&caller, &upload.id, 0, None, checksum)
                .await?;
            take_in(&app, continuation, body).await?
        } else {
            upload
        };
        let mut response = told(StatusCode::CREATED, &upload);
        if let Ok(location) = HeaderValue::try_from(format!("{UPLOADS_PREFIX}{}", upload.id)) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
    };
    with_version(created.await)
}

/// How far an upload is
///
/// A request that is still sending to it is stopped, and what has come by it is kept.
#[utoipa::path(
    head,
    path = "/api/v1/uploads/{id}",
    operation_id = "readUpload",
    tag = "Files",
    params(
        ("id" = String, Path, description = "The end of the upload's URL"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ),
    responses(
        (status = 200, description = "`Upload-Offset` tells how many bytes are there"),
        (status = 404, description = "There is no such upload, or it is somebody else's", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 410, description = "It has expired", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn status(State(app): State<AppRef>, CallerOf(caller): CallerOf, parts: Parts) -> Response {
    let found = async {
        check(&parts.headers, parts.uri.query())?;
        let upload = app.files.resumable(&caller, &id(&parts)?).await?;
        let mut response = told(StatusCode::OK, &upload);
        let headers = response.headers_mut();
        match upload.size {
            Some(size) => headers.insert(LENGTH, HeaderValue::from(size)),
            None => headers.insert(DEFER_LENGTH, HeaderValue::from_static("1")),
        };
        if let Ok(note) = HeaderValue::from_str(&upload.note) {
            headers.insert(METADATA, note);
        }
        if upload.is_partial {
            headers.insert(CONCAT, HeaderValue::from_static("partial"));
        }
        Ok(response)
    };
    with_version(found.await)
}

/// Go on with an upload
///
/// What comes is kept, also if the connection breaks; the file is there once the last bytes are answered. `Content-Location`
/// is then its URL.
#[utoipa::path(
    patch,
    path = "/api/v1/uploads/{id}",
    operation_id = "continueUpload",
    tag = "Files",
    params(
        ("id" = String, Path, description = "The end of the upload's URL"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Where these bytes begin: how many are there"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes of the file, if that was not said before", nullable = false),
        ("Upload-Checksum" = Option<String>, Header, description = "Of the body, as in `sha1 …`", nullable = false),
    ),
    request_body(content = String, content_type = "application/offset+octet-stream", description = "More of the bytes"),
    responses(
        (status = 204, description = "`Upload-Offset` tells how many bytes are there"),
        (status = 404, description = "There is no such upload, or it is somebody else's", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 409, description = "The upload is at another offset", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 410, description = "It has expired", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 423, description = "Another request is completing it", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 460, description = "The bytes do not have the checksum", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn proceed(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let begun = async {
        let headers = &parts.headers;
        check(headers, parts.uri.query())?;
        if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != PATCH_TYPE) {
            return Err(ApiError::invalid(format!("the body is `{PATCH_TYPE}`"))
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .in_field("Content-Type"));
        }
        let offset = number(headers, &OFFSET)?
            .ok_or_else(|| ApiError::invalid("`Upload-Offset` is missing").in_field("Upload-Offset"))?;
        let size = number(headers, &LENGTH)?;
        let checksum = checksum(headers)?;
        let id = id(&parts)?;
        Ok::<_, ApiError>(
            app.files
                .continue_resumable(&caller, &id, offset, size, checksum)
                .await?,
        )
    };
    let continuation = match begun.await {
        Ok(continuation) => continuation,
        Err(error) => {
            discard(body).await;
            return with_version(Err(error));
        }
    };
    let taken = take_in(&app, continuation, body).await;
    with_version(taken.map(|upload| told(StatusCode::NO_CONTENT, &upload)))
}

/// End an upload
///
/// What has come of it is removed. A file that it has become stays.
#[utoipa::path(
    delete,
    path = "/api/v1/uploads/{id}",
    operation_id = "endUpload",
    tag = "Files",
    params(
        ("id" = String, Path, description = "The end of the upload's URL"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such upload, or it is somebody else's", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn terminate(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    parts: Parts,
) -> Response {
    let ended = async {
        check(&parts.headers, parts.uri.query())?;
        app.files.terminate_resumable(&caller, &id(&parts)?).await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    };
    with_version(ended.await)
}

/// Takes a body into an upload: to its end, to where it breaks off, or until another request comes for the same upload.
async fn take_in(
    app: &AppRef,
    mut continuation: Continuation,
    mut body: Body,
) -> Result<ResumableUpload, ApiError> {
    loop {
        let frame = tokio::select! {
            frame = next_frame(&mut body, app.options.body_pause_max) => frame,
            () = continuation.wanted() => {
                let _ = continuation.break_off().await?;
                return Err(ApiError::new(
                    andiron_protocol::ErrorCode::Aborted,
                    "another request goes on with this upload",
                )
                .ending_connection());
            }
        };
        match frame {
            Ok(Some(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if let Err(error) = continuation.write(&data).await {
                    discard(body).await;
                    return Err(error.into());
                }
            }
            Ok(None) => {
                let Progress { upload } = continuation.finish().await?;
                return Ok(upload);
            }
            Err(error) => {
                // What has come is kept: that is what the client will ask for.
                let _ = continuation.break_off().await?;
                return Err(error);
            }
        }
    }
}

/// What every request has.
fn check(headers: &HeaderMap, query: Option<&str>) -> Result<(), ApiError> {
    Parameters::read(query, &[])?;
    if headers.contains_key("x-http-method-override") {
        return Err(ApiError::invalid("a request is what its method says").in_field("X-HTTP-Method-Override"));
    }
    if headers.get(RESUMABLE).is_none_or(|version| version != "1.0.0") {
        return Err(
            ApiError::precondition_failed("this is for tus clients: `Tus-Resumable` is `1.0.0`")
                .in_field("Tus-Resumable"),
        );
    }
    Ok(())
}

fn id(parts: &Parts) -> Result<UploadId, ApiError> {
    let id = parts.uri.path().strip_prefix(UPLOADS_PREFIX).unwrap_or_default();
    // What cannot be an upload is none.
    id.parse()
        .map_err(|_| andiron_files::FilesError::NoSuchUpload.into())
}

/// An answer that tells how an upload stands.
fn told(status: StatusCode, upload: &ResumableUpload) -> Response {
    let mut response = answer::empty(status);
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(upload.offset));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(expires) = HeaderValue::try_from(headers::date(upload.expires)) {
        headers.insert(EXPIRES, expires);
    }
    if let Some(published) = &upload.published {
        if let Ok(url) = HeaderValue::try_from(file_url(&published.file.record.name)) {
            headers.insert(CONTENT_LOCATION, url);
        }
        if let Ok(tag) = HeaderValue::try_from(published.file.version.to_etag()) {
            headers.insert(ETAG, tag);
        }
    }
    response
}

/// The answer with the version that it speaks, whatever it is.
fn with_version(result: Result<Response, ApiError>) -> Response {
    let mut response = result.unwrap_or_else(ApiError::into_response);
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, HeaderValue::from_static("1.0.0"));
    headers.insert(VERSION, HeaderValue::from_static("1.0.0"));
    response
}
