//! The caller's own account: `me` and its export.

use andiron_auth::ProfileChange;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{ended, read_body, read_plain};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

/// Get the caller's account
#[utoipa::path(
    get,
    path = "/api/v1/auth/me",
    operation_id = "getMe",
    tag = "Accounts",
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn get_me(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    read_plain(&app, request)?;
    let account = app.accounts.account(&user.uid)?;
    Ok(super::account(StatusCode::OK, &account))
}

/// Change the caller's profile
///
/// What is given is set, null removes. `metadata` is replaced as a whole.
#[utoipa::path(
    patch,
    path = "/api/v1/auth/me",
    operation_id = "changeMe",
    tag = "Accounts",
    request_body(content = schemas::Profile, example = json!({"name": "Ada Lovelace", "picture": null, "metadata": {"theme": "dark"}})),
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn change_me(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (change, _) = read_body::<ProfileChange>(&app, request).await?;
    let account = app.accounts.change_profile(&user.uid, change).await?;
    Ok(super::account(StatusCode::OK, &account))
}

/// Delete the caller's account
///
/// At once and for good; takes a sign-in of the last ten minutes. Documents that the account wrote stay.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/me",
    operation_id = "deleteMe",
    tag = "Accounts",
    responses(
        (status = 204, description = "The account is gone"),
        (status = 403, description = "The sign-in was too long ago", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_me(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (_, client) = read_plain(&app, request)?;
    app.accounts.delete_own(user, &client).await?;
    Ok(ended(answer::empty(StatusCode::NO_CONTENT)))
}

/// Export everything that is kept about the caller's account
#[utoipa::path(
    get,
    path = "/api/v1/auth/me/export",
    operation_id = "exportMe",
    tag = "Accounts",
    responses((status = 200, description = "The account, its sessions and its security events", body = schemas::Export))
)]
pub(crate) async fn export_me(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    read_plain(&app, request)?;
    let export = app.accounts.export(&user.uid).await?;
    Ok(answer::json_of(StatusCode::OK, &export))
}
