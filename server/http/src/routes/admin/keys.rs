//! `/api/v1/admin/keys`: service keys.

use andiron_auth::{NewKey, ServiceKey};
use andiron_engine::{Permission, Scopes};
use andiron_protocol::{InputError, Timestamp};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{admitted, admitted_body};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::schemas;
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
    /// Empty: everything.
    scopes: &'k [String],
    expires_at: Option<Timestamp>,
    last_use_time: Option<Timestamp>,
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
            scopes: &key.scopes,
            expires_at: key.expires,
            last_use_time: key.last_used,
            key: None,
        }
    }
}

/// List the service keys
///
/// Those that have ended too, until they are revoked. When a key was last used is exact while the server runs; of what came
/// before a crash the last hour may be missing.
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
    admitted(&app, &caller, Permission::Everything, request)?;
    let keys = app.keys.list().await?;
    let keys = Keys {
        keys: keys.iter().map(KeyJson::of).collect(),
    };
    Ok(answer::json_of(StatusCode::OK, &keys))
}

/// Create a service key
///
/// Keys are for servers, never for apps. One without `scopes` may do everything and passes every rule; one with scopes may do
/// what they name, as in `documents:read` or `documents:write:posts`, passes the rules there, and is refused everything
/// else. The same as `andiron key create`. Takes the role `owner`, or a key for everything.
#[utoipa::path(
    post,
    path = "/api/v1/admin/keys",
    operation_id = "createKey",
    tag = "Administration",
    request_body(content = schemas::NewKey, example = json!({"name": "importer", "scopes": ["documents:write:posts"], "expiresAt": "2027-11-22T00:00:00Z"})),
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
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        name: String,
        scopes: Option<Vec<String>>,
        expires_at: Option<Timestamp>,
    }
    let (body, client) = admitted_body::<Body>(&app, &caller, Permission::Everything, request).await?;
    let new = NewKey {
        name: body.name,
        scopes: body.scopes.as_deref().map(Scopes::parse).transpose()?,
        expires: body.expires_at,
    };
    let created = app.keys.create(new, &caller, &client).await?;
    let json = KeyJson {
        key: Some(created.key.expose()),
        ..KeyJson::of(&created.service_key)
    };
    Ok(answer::json_of(StatusCode::CREATED, &json))
}

/// Revoke a service key
///
/// The next request with it is refused, and what listens with it hears no more. Takes the role `owner`, or a key for
/// everything.
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
    let path = request.uri().path().to_owned();
    let client = admitted(&app, &caller, Permission::Everything, request)?;
    let encoded = path.strip_prefix(KEYS_PREFIX).unwrap_or_default();
    let name_or_id = decode_percent(encoded.as_bytes())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| InputError::new("the name or id in the URL is not validly percent-encoded"))?;
    let revoked = app.keys.revoke(&name_or_id, &caller, &client).await?;
    Ok(answer::json_of(StatusCode::OK, &KeyJson::of(&revoked)))
}
