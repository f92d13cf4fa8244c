//! `GET` of a bucket: the files that the caller may see.

use andiron_files::{BucketName, ListQuery};
use andiron_protocol::InputError;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{FILES_PREFIX, metadata_json};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::decode_segments;

/// Files and folders in a page, if nothing is said.
const LIMIT_DEFAULT: usize = 100;
/// The same at most.
const LIMIT_MAX: usize = 1000;

/// List files
///
/// The files of a bucket whose names begin with `prefix`, in the order of their names, folder by folder. With
/// `delimiter=/` what lies in folders behind the prefix is told as `folders`. Each file is put to the rules' `list`; those
/// that it does not allow are not there.
#[utoipa::path(
    get,
    path = "/api/v1/files/{bucket}",
    operation_id = "listFiles",
    tag = "Files",
    params(
        ("bucket" = String, Path, description = "The bucket", example = "main"),
        ("prefix" = Option<String>, Query, description = "What names begin with", example = "photos/", nullable = false),
        ("delimiter" = Option<String>, Query, description = "`/` tells of folders instead of what is in them", nullable = false),
        ("limit" = Option<u32>, Query, description = "Files and folders in the page, 100 by default, at most 1,000", nullable = false),
        ("cursor" = Option<String>, Query, description = "The `cursor` of the page before", nullable = false),
    ),
    responses((status = 200, description = "A page", body = schemas::FilePage))
)]
pub(crate) async fn list(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let path = decode_segments(
        request
            .uri()
            .path()
            .strip_prefix(FILES_PREFIX)
            .unwrap_or_default(),
    )?;
    let bucket: BucketName = path.parse()?;
    let parameters = Parameters::read(request.uri().query(), &["prefix", "delimiter", "limit", "cursor"])?;
    let folders = match parameters.get("delimiter") {
        None => false,
        Some("/") => true,
        Some(_) => return Err(InputError::new("`delimiter` is `/`").in_field("delimiter").into()),
    };
    let limit = match parameters.get("limit") {
        None => LIMIT_DEFAULT,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| {
                InputError::new(format!("`limit` is a number from 1 to {LIMIT_MAX}")).in_field("limit")
            })?,
    };
    let query = ListQuery {
        prefix: parameters.get("prefix").unwrap_or_default().to_owned(),
        folders,
        cursor: parameters.get("cursor").map(ToOwned::to_owned),
        limit,
    };
    let listing = app.files.list(&caller, &bucket, query).await?;
    let files: Vec<_> = listing.files.iter().map(metadata_json).collect();
    let body = json!({"files": files, "folders": listing.folders, "cursor": listing.cursor});
    Ok(answer::json_of(StatusCode::OK, &body))
}
