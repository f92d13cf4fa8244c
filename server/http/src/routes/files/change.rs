//! `PATCH` and `DELETE` of a file.

use andiron_files::{ContentType, MetadataChange};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer};

use super::{file_name, guard, metadata_answer};
use crate::answer;
use crate::app::AppRef;
use crate::body;
use crate::caller::CallerOf;
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// What a change may say. A member that is missing stays as it is, null takes it away.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "given")]
    cache_control: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    content_disposition: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    content_encoding: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    content_language: Option<Option<String>>,
    #[serde(default)]
    metadata: std::collections::BTreeMap<String, Option<String>>,
}

/// Tells null from missing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Change a file's metadata
///
/// What is not given stays, null takes away; `metadata` is merged name by name. The rules' `update` is asked.
#[utoipa::path(
    patch,
    path = "/api/v1/files/{bucket}/{*name}",
    operation_id = "changeFile",
    tag = "Files",
    params(
        ("bucket" = String, Path, description = "The bucket", example = "main"),
        ("name" = String, Path, description = "The file's name, each segment percent-encoded", example = "photos/cat.png"),
        ("If-Match" = Option<String>, Header, description = "412 unless the file is at one of these versions", nullable = false),
    ),
    request_body(content = schemas::FileChange, example = json!({"contentType": "image/png", "metadata": {"album": "cats"}})),
    responses(
        (status = 200, description = "The file as it is now", body = schemas::File),
        (status = 404, description = "There is no such file", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The file is not at a version that `If-Match` names", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    Parameters::read(request.uri().query(), &[])?;
    let name = file_name(request.uri().path())?;
    let guard = guard(request.headers())?;
    let (parts, body) = request.into_parts();
    let bytes_max = app.options.request_body_bytes_max;
    let change: ChangeBody = body::read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let change = MetadataChange {
        content_type: change
            .content_type
            .map(|content_type| ContentType::parse(&content_type))
            .transpose()?,
        cache_control: change.cache_control,
        content_disposition: change.content_disposition,
        content_encoding: change.content_encoding,
        content_language: change.content_language,
        metadata: change.metadata.into_iter().collect(),
    };
    let file = app.files.change(&caller, &name, change, &guard).await?;
    Ok(metadata_answer(StatusCode::OK, &file))
}

/// Delete a file
///
/// Answers the same if it was not there, unless a condition demands that it is.
#[utoipa::path(
    delete,
    path = "/api/v1/files/{bucket}/{*name}",
    operation_id = "deleteFile",
    tag = "Files",
    params(
        ("bucket" = String, Path, description = "The bucket", example = "main"),
        ("name" = String, Path, description = "The file's name, each segment percent-encoded", example = "photos/cat.png"),
        ("If-Match" = Option<String>, Header, description = "412 unless the file is at one of these versions, or with `*` there", nullable = false),
    ),
    responses(
        (status = 204, description = "It is not there any more"),
        (status = 412, description = "The file is not at a version that `If-Match` names", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    Parameters::read(request.uri().query(), &[])?;
    let name = file_name(request.uri().path())?;
    let guard = guard(request.headers())?;
    app.files.delete(&caller, &name, &guard).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
