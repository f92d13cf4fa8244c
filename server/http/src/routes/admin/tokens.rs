//! `/api/v1/admin/custom-tokens` and `…/signing-keys`: what signs in, and what signs.

use andiron_auth::SigningKeyInfo;
use andiron_engine::Permission;
use andiron_protocol::{Timestamp, Value};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{admitted, admitted_body, map_of};
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;
use crate::routes::auth::NothingBody;

/// Mint a custom token
///
/// For a service that knows its people by itself: whoever has the token signs in as the account `uid` within an hour, by
/// `POST /api/v1/auth/custom`. The claims go into the tokens of that session. Takes a service key or the role `owner`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/custom-tokens",
    operation_id = "mintCustomToken",
    tag = "Administration of accounts",
    request_body(content = schemas::NewCustomToken, example = json!({"uid": "customer-42", "claims": {"plan": "pro"}})),
    responses((status = 201, description = "The token", body = schemas::MintedToken))
)]
pub(crate) async fn mint_custom_token(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        uid: String,
        claims: Option<Value>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Minted<'t> {
        token: &'t str,
        expires_at: Timestamp,
    }
    let (body, client) = admitted_body::<Body>(&app, &caller, Permission::TokensMint, request).await?;
    let claims = map_of("claims", body.claims)?.unwrap_or_default();
    let (token, expires_at) = app
        .accounts
        .mint_custom_token(&caller, &body.uid, &claims, &client)
        .await?;
    let token = token.expose();
    Ok(answer::json_of(
        StatusCode::CREATED,
        &Minted { token, expires_at },
    ))
}

/// List the keys that sign access tokens
#[utoipa::path(
    get,
    path = "/api/v1/admin/signing-keys",
    operation_id = "listSigningKeys",
    tag = "Administration of accounts",
    responses((status = 200, description = "The keys in force, newest first", body = schemas::SigningKeys))
)]
pub(crate) async fn list_signing_keys(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    admitted(&app, &caller, Permission::ServerRead, request)?;
    Ok(signing_keys(&app))
}

/// Sign with a new key from now on
///
/// The one before verifies for another day. Keys also change by themselves, every 90 days unless set otherwise. Takes the
/// role `owner`.
#[utoipa::path(
    post,
    path = "/api/v1/admin/signing-keys",
    operation_id = "rotateSigningKey",
    tag = "Administration of accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 200, description = "The keys in force, newest first", body = schemas::SigningKeys))
)]
pub(crate) async fn rotate_signing_key(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (NothingBody {}, client) = admitted_body(&app, &caller, Permission::Everything, request).await?;
    app.accounts.rotate_signing_key(&caller, &client).await?;
    Ok(signing_keys(&app))
}

fn signing_keys(app: &AppRef) -> Response {
    #[derive(Serialize)]
    struct Keys {
        keys: Vec<SigningKeyInfo>,
    }
    let keys = app.accounts.signing_key_infos();
    answer::json_of(StatusCode::OK, &Keys { keys })
}
