//! What mails are for: confirming and changing an address, signing in by a link or a code.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{CodeBody, EmailBody, NothingBody, accepted, outcome, read_body};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

/// Ask for a mail that confirms the address
///
/// Signing up sends one by itself.
#[utoipa::path(
    post,
    path = "/api/v1/auth/email/verify",
    operation_id = "requestVerification",
    tag = "Accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 202, description = "The mail is on its way", body = schemas::Nothing))
)]
pub(crate) async fn verify(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (NothingBody {}, client) = read_body(&app, request).await?;
    app.accounts.request_verification(user, &client).await?;
    Ok(accepted())
}

/// Use the link of a mail about an address
///
/// Confirms the address, changes it, or takes a change back: whatever the code is for. Takes no access token, since mails
/// are opened anywhere.
#[utoipa::path(
    post,
    path = "/api/v1/auth/email/confirm",
    operation_id = "confirmEmail",
    tag = "Accounts",
    request_body(content = schemas::Code, example = json!({"code": "0f343b0931126a20f133d67c2b018a3bc7Q…"})),
    responses((status = 204, description = "Done"))
)]
pub(crate) async fn confirm(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<CodeBody>(&app, request).await?;
    app.accounts.confirm_email(&body.code, &client).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Change the address
///
/// The new address gets a mail with a link that makes it the account's; the old one then gets a mail that takes it back.
/// The answer is the same if another account has the address. Takes a sign-in of the last ten minutes.
#[utoipa::path(
    post,
    path = "/api/v1/auth/email/change",
    operation_id = "changeEmail",
    tag = "Accounts",
    request_body(content = schemas::Email, example = json!({"email": "lovelace@example.org"})),
    responses((status = 202, description = "If the address is free, a mail is on its way", body = schemas::Nothing))
)]
pub(crate) async fn change(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (body, client) = read_body::<EmailBody>(&app, request).await?;
    let email = body.address()?;
    app.accounts.request_email_change(user, &email, &client)?;
    Ok(accepted())
}

/// Ask for a mail with a link that signs in
///
/// The answer is the same whether or not there is an account; where everybody may sign up there need not be one.
#[utoipa::path(
    post,
    path = "/api/v1/auth/link",
    operation_id = "requestSignInLink",
    tag = "Accounts",
    request_body(content = schemas::Email, example = json!({"email": "ada@example.org"})),
    responses((status = 202, description = "If such an account may sign in, a mail is on its way", body = schemas::Nothing))
)]
pub(crate) async fn link(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<EmailBody>(&app, request).await?;
    app.accounts.request_sign_in_link(&body.email, &client)?;
    Ok(accepted())
}

/// Sign in by the link of a mail
///
/// The code is what stands behind `code=` in the link. Opening the link uses nothing up: this call does.
#[utoipa::path(
    post,
    path = "/api/v1/auth/link/confirm",
    operation_id = "signInByLink",
    tag = "Accounts",
    request_body(content = schemas::Code, example = json!({"code": "0f343b0931126a20f133d67c2b018a3bc7Q…"})),
    responses((status = 200, description = "The account and its session, or that a second factor is due", body = schemas::SignInOutcome))
)]
pub(crate) async fn confirm_link(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<CodeBody>(&app, request).await?;
    let answer = app.accounts.sign_in_by_link(&body.code, &client).await?;
    Ok(outcome(&answer))
}

/// Ask for a mail with six digits that sign in
///
/// As the link; the digits hold for ten minutes and five guesses.
#[utoipa::path(
    post,
    path = "/api/v1/auth/code",
    operation_id = "requestSignInCode",
    tag = "Accounts",
    request_body(content = schemas::Email, example = json!({"email": "ada@example.org"})),
    responses((status = 202, description = "If such an account may sign in, a mail is on its way", body = schemas::Nothing))
)]
pub(crate) async fn code(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<EmailBody>(&app, request).await?;
    app.accounts.request_sign_in_code(&body.email, &client)?;
    Ok(accepted())
}

/// Sign in by the six digits of a mail
///
/// After five wrong guesses the digits are worth nothing; ask for new ones.
#[utoipa::path(
    post,
    path = "/api/v1/auth/code/confirm",
    operation_id = "signInByCode",
    tag = "Accounts",
    request_body(content = schemas::EmailAndCode, example = json!({"email": "ada@example.org", "code": "123456"})),
    responses((status = 200, description = "The account and its session, or that a second factor is due", body = schemas::SignInOutcome))
)]
pub(crate) async fn confirm_code(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        code: String,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let answer = app
        .accounts
        .sign_in_by_code(&body.email, &body.code, &client)
        .await?;
    Ok(outcome(&answer))
}
