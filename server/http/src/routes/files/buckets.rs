//! `/api/v1/admin/buckets`: what is said of buckets, and ending all links.

use andiron_engine::{Permission, authorize_administration};
use andiron_files::{Bucket, BucketName, BucketSettings, TypePattern, VariantPolicy};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer;
use crate::app::AppRef;
use crate::body;
use crate::caller::CallerOf;
use crate::openapi::file_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::decode_segments;

const BUCKETS_PREFIX: &str = "/api/v1/admin/buckets/";

/// What can be said of a bucket; what is not said is not limited.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsBody {
    #[serde(default)]
    public_read: bool,
    #[serde(default)]
    file_bytes: Option<u64>,
    #[serde(default)]
    bytes: Option<u64>,
    #[serde(default)]
    account_bytes: Option<u64>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    free_variants: bool,
}

/// List buckets
///
/// Those that something is said of, in the project's configuration or by administrators, with how much they have. Other
/// buckets have no limits of their own and need no making.
#[utoipa::path(
    get,
    path = "/api/v1/admin/buckets",
    operation_id = "listBuckets",
    tag = "Administration",
    responses((status = 200, description = "The buckets, by name", body = schemas::Buckets))
)]
pub(crate) async fn list(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    authorize_administration(&caller, Permission::ServerRead)?;
    Parameters::read(request.uri().query(), &[])?;
    let buckets = app.files.buckets().await?;
    let buckets: Vec<Value> = buckets
        .iter()
        .map(|bucket| bucket_json(&app, bucket))
        .collect::<Result<_, _>>()?;
    Ok(answer::json_of(StatusCode::OK, &json!({ "buckets": buckets })))
}

/// Say something of a bucket
///
/// In the place of what was said of it before. Files that are there stay as they are; limits are about what comes.
#[utoipa::path(
    put,
    path = "/api/v1/admin/buckets/{bucket}",
    operation_id = "setBucket",
    tag = "Administration",
    params(("bucket" = String, Path, description = "The bucket", example = "avatars")),
    request_body(content = schemas::BucketSettings, example = json!({"publicRead": true, "fileBytes": 2_097_152, "types": ["image/*"]})),
    responses(
        (status = 200, description = "The bucket", body = schemas::Bucket),
        (status = 400, description = "The project's configuration says something of it", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    authorize_administration(&caller, Permission::Everything)?;
    let name = bucket_name(&request)?;
    let (parts, body) = request.into_parts();
    let bytes_max = app.options.request_body_bytes_max;
    let said: SettingsBody = body::read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let types = said.types.iter().map(|pattern| pattern.parse::<TypePattern>());
    let settings = BucketSettings {
        public_read: said.public_read,
        file_bytes_max: said.file_bytes,
        bytes_max: said.bytes,
        account_bytes_max: said.account_bytes,
        types: types.collect::<Result<_, _>>()?,
        variants: if said.free_variants {
            VariantPolicy::Free
        } else {
            VariantPolicy::Presets
        },
    };
    app.files.set_bucket(&name, settings.clone()).await?;
    let bucket = Bucket {
        name,
        settings,
        is_declared: false,
    };
    Ok(answer::json_of(StatusCode::OK, &bucket_json(&app, &bucket)?))
}

/// Take back what was said of a bucket
///
/// Its files stay.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/buckets/{bucket}",
    operation_id = "unsetBucket",
    tag = "Administration",
    params(("bucket" = String, Path, description = "The bucket", example = "avatars")),
    responses((status = 204, description = "Nothing is said of it any more"))
)]
pub(crate) async fn unset(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    authorize_administration(&caller, Permission::Everything)?;
    app.files.unset_bucket(&bucket_name(&request)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// End all signed links
///
/// The key that they were signed with is replaced; those that are made from now on hold.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/file-links",
    operation_id = "revokeFileLinks",
    tag = "Administration",
    responses((status = 204, description = "No link of before holds any more"))
)]
pub(crate) async fn revoke_links(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    authorize_administration(&caller, Permission::Everything)?;
    Parameters::read(request.uri().query(), &[])?;
    app.files.revoke_links().await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn bucket_name(request: &Request) -> Result<BucketName, ApiError> {
    Parameters::read(request.uri().query(), &[])?;
    let path = request
        .uri()
        .path()
        .strip_prefix(BUCKETS_PREFIX)
        .unwrap_or_default();
    Ok(decode_segments(path)?.parse()?)
}

fn bucket_json(app: &AppRef, bucket: &Bucket) -> Result<Value, ApiError> {
    let usage = app.files.bucket_usage(&bucket.name)?;
    let settings = &bucket.settings;
    let types: Vec<_> = settings.types.iter().map(ToString::to_string).collect();
    Ok(json!({
        "name": bucket.name.as_str(),
        "isDeclared": bucket.is_declared,
        "publicRead": settings.public_read,
        "fileBytes": settings.file_bytes_max,
        "bytes": settings.bytes_max,
        "accountBytes": settings.account_bytes_max,
        "types": types,
        "freeVariants": settings.variants == VariantPolicy::Free,
        "usage": {"files": usage.files, "bytes": usage.bytes, "reserved": usage.reserved},
    }))
}
