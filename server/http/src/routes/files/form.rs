//! `POST` to a bucket: files from a browser's form, and deleting several at once.

use andiron_files::{BucketName, ContentType, FileName, UploadRequest};
use andiron_protocol::InputError;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde::Deserialize;
use serde_json::json;

use super::{FILES_PREFIX, metadata_json};
use crate::answer;
use crate::app::AppRef;
use crate::body::{self, next_frame};
use crate::caller::CallerOf;
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::decode_segments;

/// Files in one form.
const FORM_FILES_MAX: usize = 20;
/// Bytes of a field that is no file.
const FIELD_BYTES_MAX: usize = 2 * 1024;
/// Fields in one form that are no files.
const FIELDS_MAX: usize = 50;

/// Files that are to be deleted, by their names in the bucket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteBody {
    delete: Vec<String>,
}

/// Upload files by a form, or delete several
///
/// `multipart/form-data`, as a browser's form sends it: each file is uploaded under the field `name` before it, or under the
/// field `prefix` and its own file name. Up to 20 files, each published on its own as it comes; if one is refused, those
/// before it are there.
///
/// JSON, `{"delete": ["a.png", "b.png"]}`: deletes up to 100 files, all or none of them.
#[utoipa::path(
    post,
    path = "/api/v1/files/{bucket}",
    operation_id = "postToBucket",
    tag = "Files",
    params(("bucket" = String, Path, description = "The bucket", example = "main")),
    request_body(content((schemas::FileForm = "multipart/form-data"), (schemas::FileDeletion = "application/json", example = json!({"delete": ["a.png", "b.png"]}))), description = "A form with files, or names"),
    responses(
        (status = 200, description = "How many files were deleted", body = schemas::FilesDeleted),
        (status = 201, description = "The files that were uploaded", body = schemas::FilesUploaded),
        (status = 413, description = "A file is larger than files may be", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    Parameters::read(request.uri().query(), &[])?;
    let path = request
        .uri()
        .path()
        .strip_prefix(FILES_PREFIX)
        .unwrap_or_default();
    let bucket: BucketName = decode_segments(path)?.parse()?;
    let (parts, body) = request.into_parts();
    if let Some(boundary) = boundary(&parts.headers) {
        return upload(&app, &caller, &bucket, boundary, body).await;
    }
    let bytes_max = app.options.request_body_bytes_max;
    let names: DeleteBody = body::read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let names: Vec<FileName> = names
        .delete
        .iter()
        .map(|name| FileName::new(bucket.clone(), name))
        .collect::<Result<_, _>>()?;
    let deleted = app.files.delete_all(&caller, &names).await?;
    Ok(answer::json_of(StatusCode::OK, &json!({"deleted": deleted})))
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    multer::parse_boundary(content_type).ok()
}

/// What stands in fields before a file.
#[derive(Default)]
struct Said {
    prefix: String,
    /// Of the next file alone.
    name: Option<String>,
}

async fn upload(
    app: &AppRef,
    caller: &andiron_engine::Caller,
    bucket: &BucketName,
    boundary: String,
    body: Body,
) -> Result<Response, ApiError> {
    let mut form = Multipart::with_constraints(frames(app, body), boundary, constraints(app));
    let (mut said, mut files, mut fields) = (Said::default(), Vec::new(), 0);
    while let Some(field) = form.next_field().await.map_err(of_form)? {
        if field.file_name().is_none() {
            fields += 1;
            if fields > FIELDS_MAX {
                return Err(ApiError::invalid(format!(
                    "a form has at most {FIELDS_MAX} fields that are no files"
                )));
            }
            read_field(field, &mut said).await?;
            continue;
        }
        if files.len() == FORM_FILES_MAX {
            return Err(ApiError::invalid(format!(
                "a form has at most {FORM_FILES_MAX} files"
            )));
        }
        files.push(upload_file(app, caller, bucket, &mut said, field).await?);
    }
    if files.is_empty() {
        return Err(ApiError::invalid("the form has no file"));
    }
    Ok(answer::json_of(StatusCode::CREATED, &json!({ "files": files })))
}

async fn read_field(mut field: Field<'_>, said: &mut Said) -> Result<(), ApiError> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut value = Vec::new();
    while let Some(more) = field.chunk().await.map_err(of_form)? {
        if value.len() + more.len() > FIELD_BYTES_MAX {
            return Err(
                ApiError::invalid(format!("a field has at most {FIELD_BYTES_MAX} bytes")).in_field(name),
            );
        }
        value.extend_from_slice(&more);
    }
    let value =
        String::from_utf8(value).map_err(|_| InputError::new("a field is UTF-8").in_field(name.as_str()))?;
    match name.as_str() {
        "prefix" => said.prefix = value,
        "name" => said.name = Some(value),
        _ => {
            return Err(
                ApiError::invalid("a form has the fields `prefix` and `name`, and files").in_field(name),
            );
        }
    }
    Ok(())
}

async fn upload_file(
    app: &AppRef,
    caller: &andiron_engine::Caller,
    bucket: &BucketName,
    said: &mut Said,
    mut field: Field<'_>,
) -> Result<serde_json::Value, ApiError> {
    let name = match said.name.take() {
        Some(name) => name,
        None => format!("{}{}", said.prefix, field.file_name().unwrap_or_default()),
    };
    let content_type = field
        .content_type()
        .map(|content_type| ContentType::parse(content_type.as_ref()))
        .transpose()?;
    let request = UploadRequest {
        content_type,
        ..UploadRequest::of(FileName::new(bucket.clone(), &name)?)
    };
    let mut upload = app.files.begin_upload(caller, request)?;
    while let Some(bytes) = field.chunk().await.map_err(of_form)? {
        upload.write(&bytes).await?;
    }
    Ok(metadata_json(&upload.finish().await?.file))
}

/// Why a body did not come to its end, on its way through the parser.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come to its end")]
struct BrokenOff(ApiError);

/// The body, piece by piece, in the time that is allowed between them.
fn frames(
    app: &AppRef,
    body: Body,
) -> impl futures_util::Stream<Item = Result<Bytes, BrokenOff>> + Send + 'static {
    let pause_max = app.options.body_pause_max;
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        loop {
            match next_frame(&mut body, pause_max).await {
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) => return Some((Ok(data), Some(body))),
                    Err(_) => continue,
                },
                Ok(None) => return None,
                Err(error) => return Some((Err(BrokenOff(error)), None)),
            }
        }
    })
}

/// No field is kept whole by the parser; what there is to limit is limited where the fields are read.
fn constraints(app: &AppRef) -> Constraints {
    Constraints::new().size_limit(SizeLimit::new().per_field(app.files.options().file_bytes_max))
}

/// What is wrong with a form.
fn of_form(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast::<BrokenOff>() {
            Ok(broken_off) => broken_off.0,
            Err(_) => ApiError::invalid("the body ended before it was complete"),
        },
        multer::Error::FieldSizeExceeded { limit, .. } => {
            andiron_files::FilesError::TooLarge { bytes_max: limit }.into()
        }
        // What it says is about the form, never about the server.
        error => ApiError::invalid(format!(
            "the form cannot be read: {}",
            error.to_string().to_lowercase()
        )),
    }
}
