//! Passwords of accounts: `password/…`.

use andiron_auth::Password;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{EmailBody, accepted, of_body, read_body};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

/// Change the password
///
/// Ends all other sessions of the account. An account without a password gets its first one within ten minutes of a
/// sign-in, without `current`.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password/change",
    operation_id = "changePassword",
    tag = "Accounts",
    request_body(content = schemas::PasswordChange, example = json!({"current": "correct horse battery", "new": "wrong horse, better battery"})),
    responses(
        (status = 204, description = "The password is changed"),
        (status = 401, description = "The current password is another", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change_password(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        current: Option<String>,
        new: String,
    }
    let user = account_of(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
    let current = body.current.map(Password::parse).transpose()?;
    let new = Password::parse(body.new)?;
    app.accounts
        .change_password(user, current.as_ref(), &new, &client)
        .await
        .map_err(|error| of_body(error, "the current password is another"))?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Ask for a mail that lets choose a new password
///
/// The answer is the same whether or not there is an account.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password/reset",
    operation_id = "requestPasswordReset",
    tag = "Accounts",
    request_body(content = schemas::Email, example = json!({"email": "ada@example.org"})),
    responses((status = 202, description = "If there is such an account, a mail is on its way", body = schemas::Nothing))
)]
pub(crate) async fn reset(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<EmailBody>(&app, request).await?;
    app.accounts.request_password_reset(&body.email, &client)?;
    Ok(accepted())
}

/// Set a new password by the link of a mail
///
/// Ends all sessions of the account, and signs nobody in.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password/confirm",
    operation_id = "confirmPasswordReset",
    tag = "Accounts",
    request_body(content = schemas::CodeAndPassword, example = json!({"code": "0f343b0931126a20f133d67c2b018a3bc7Q…", "password": "correct horse battery"})),
    responses((status = 204, description = "The password is set"))
)]
pub(crate) async fn confirm(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        code: String,
        password: String,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let password = Password::parse(body.password)?;
    app.accounts
        .confirm_password_reset(&body.code, &password, &client)
        .await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
