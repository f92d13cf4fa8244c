//! `/api/v1/admin/…`: what administrators need from outside: service keys, and how the server does.

use andiron_auth::{Accounts, ServiceKey};
use andiron_engine::{Caller, IndexInfo, authorize_administration};
use andiron_protocol::{InputError, Timestamp, Version};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::app::AppRef;
use crate::body::read_typed;
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::decode_percent;

const KEYS_PREFIX: &str = "/api/v1/admin/keys/";

/// A key as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyJson<'k> {
    id: &'k str,
    name: &'k str,
    create_time: Timestamp,
    /// Only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'k str>,
}

impl<'k> KeyJson<'k> {
    fn of(key: &'k ServiceKey) -> Self {
        Self {
            id: &key.id,
            name: &key.name,
            create_time: key.created,
            key: None,
        }
    }
}

fn check_admin(caller: &Caller) -> Result<(), ApiError> {
    Ok(authorize_administration(caller)?)
}

/// List the service keys
#[utoipa::path(
    get,
    path = "/api/v1/admin/keys",
    operation_id = "listKeys",
    tag = "Administration",
    responses((status = 200, description = "The keys, without their secrets", body = schemas::Keys))
)]
pub(crate) async fn list_keys(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Keys<'k> {
        keys: Vec<KeyJson<'k>>,
    }
    check_admin(&caller)?;
    Parameters::read(request.uri().query(), &[])?;
    let keys = app.keys.list().await?;
    let keys = Keys {
        keys: keys.iter().map(KeyJson::of).collect(),
    };
    Ok(answer::json_of(StatusCode::OK, &keys))
}

/// Create a service key
///
/// A service key passes every rule: keep it on servers, never in apps. The same as `andiron key create`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/keys",
    operation_id = "createKey",
    tag = "Administration",
    request_body(content = schemas::NewKey, example = json!({"name": "importer"})),
    responses(
        (status = 201, description = "The key, shown this once", body = schemas::Key),
        (status = 409, description = "There is a key of this name", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_key(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NewKey {
        name: String,
    }
    check_admin(&caller)?;
    Accounts::check_owner(&caller)?;
    let (parts, body) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    let bytes_max = app.options.request_body_bytes_max;
    let new: NewKey = read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let created = app.keys.create(&new.name).await?;
    let json = KeyJson {
        key: Some(created.key.expose()),
        ..KeyJson::of(&created.service_key)
    };
    Ok(answer::json_of(StatusCode::CREATED, &json))
}

/// Revoke a service key
///
/// The next request with it is refused.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/keys/{key}",
    operation_id = "revokeKey",
    tag = "Administration",
    params(("key" = String, Path, description = "The key's name or id", example = "importer")),
    responses(
        (status = 200, description = "The key that was revoked", body = schemas::Key),
        (status = 404, description = "There is no such key", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revoke_key(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    check_admin(&caller)?;
    Accounts::check_owner(&caller)?;
    Parameters::read(request.uri().query(), &[])?;
    let encoded = request.uri().path().strip_prefix(KEYS_PREFIX).unwrap_or_default();
    let name_or_id = decode_percent(encoded.as_bytes())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| InputError::new("the name or id in the URL is not validly percent-encoded"))?;
    let revoked = app.keys.revoke(&name_or_id).await?;
    Ok(answer::json_of(StatusCode::OK, &KeyJson::of(&revoked)))
}

/// List the indexes
///
/// Indexes come and go by themselves, unless the project fixes them in an `andiron.indexes.json`.
#[utoipa::path(
    get,
    path = "/api/v1/admin/indexes",
    operation_id = "listIndexes",
    tag = "Administration",
    responses((status = 200, description = "The indexes and how they fare", body = schemas::Indexes))
)]
pub(crate) async fn list_indexes(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Indexes {
        indexes: Vec<IndexInfo>,
    }
    check_admin(&caller)?;
    Parameters::read(request.uri().query(), &[])?;
    let indexes = app.engine.indexes(&caller)?;
    Ok(answer::json_of(StatusCode::OK, &Indexes { indexes }))
}

/// See how the server does
#[utoipa::path(
    get,
    path = "/api/v1/admin/info",
    operation_id = "serverInfo",
    tag = "Administration",
    responses((status = 200, description = "Figures", body = schemas::Info))
)]
pub(crate) async fn info(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Info<'i> {
        server_version: &'i str,
        version: Version,
        data_bytes: u64,
        log: Log,
    }
    #[derive(Serialize)]
    struct Log {
        start: Version,
        changes: u64,
        bytes: u64,
    }
    check_admin(&caller)?;
    Parameters::read(request.uri().query(), &[])?;
    let log = app.engine.log()?;
    let data_bytes = app
        .engine
        .store()
        .size_bytes()
        .map_err(andiron_engine::EngineError::from)?;
    let info = Info {
        server_version: &app.info.version,
        version: app.engine.version()?,
        data_bytes,
        log: Log {
            start: log.start,
            changes: log.changes,
            bytes: log.bytes,
        },
    };
    Ok(answer::json_of(StatusCode::OK, &info))
}
