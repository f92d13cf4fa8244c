//! Phone numbers: confirming one, signing in by it, and as a second factor.

use andiron_auth::{PhoneNumber, SecretText};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{NothingBody, accepted, account, outcome, read_body, read_plain};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneBody {
    phone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneAndCodeBody {
    phone: String,
    code: String,
}

/// Change the phone number
///
/// A code goes to the number, which `phone/confirm` makes the account's. The answer is the same if another account has it. Takes
/// a sign-in of the last ten minutes; an account with a second factor has to have shown it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/phone/change",
    operation_id = "changePhone",
    tag = "Accounts",
    request_body(content = schemas::Phone, example = json!({"phone": "+14155550123"})),
    responses((status = 202, description = "If the number is free, a code is on its way", body = schemas::Nothing))
)]
pub(crate) async fn change(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (body, client) = read_body::<PhoneBody>(&app, request).await?;
    let phone = PhoneNumber::parse(&body.phone)?;
    app.accounts.request_phone_change(user, &phone, &client)?;
    Ok(accepted())
}

/// Confirm the phone number
#[utoipa::path(
    post,
    path = "/api/v1/auth/phone/confirm",
    operation_id = "confirmPhone",
    tag = "Accounts",
    request_body(content = schemas::PhoneAndCode, example = json!({"phone": "+14155550123", "code": "123456"})),
    responses((status = 200, description = "The account, which has the number now", body = schemas::AccountAnswer))
)]
pub(crate) async fn confirm(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (body, client) = read_body::<PhoneAndCodeBody>(&app, request).await?;
    let phone = PhoneNumber::parse(&body.phone)?;
    let changed = app
        .accounts
        .confirm_phone(user, &phone, &body.code, &client)
        .await?;
    Ok(account(StatusCode::OK, &changed))
}

/// Remove the phone number
///
/// It is no second factor any more either. Takes a sign-in of the last ten minutes, and leaves no account without a way to sign
/// in.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/phone",
    operation_id = "removePhone",
    tag = "Accounts",
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn remove(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (_, client) = read_plain(&app, request)?;
    let changed = app.accounts.remove_phone(user, &client).await?;
    Ok(account(StatusCode::OK, &changed))
}

/// Ask for a text message with a code that signs in
///
/// The answer is the same whether or not there is an account; where everybody may sign up there need not be one.
#[utoipa::path(
    post,
    path = "/api/v1/auth/phone/code",
    operation_id = "requestPhoneCode",
    tag = "Accounts",
    request_body(content = schemas::Phone, example = json!({"phone": "+14155550123"})),
    responses((status = 202, description = "If such an account may sign in, a code is on its way", body = schemas::Nothing))
)]
pub(crate) async fn code(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<PhoneBody>(&app, request).await?;
    let phone = PhoneNumber::parse(&body.phone)?;
    app.accounts.request_phone_code(&phone, &client)?;
    Ok(accepted())
}

/// Sign in by the code of a text message
#[utoipa::path(
    post,
    path = "/api/v1/auth/phone/code/confirm",
    operation_id = "signInByPhone",
    tag = "Accounts",
    request_body(content = schemas::PhoneAndCode, example = json!({"phone": "+14155550123", "code": "123456"})),
    responses((status = 200, description = "The account and its session, or that a second factor is due", body = schemas::SignInOutcome))
)]
pub(crate) async fn confirm_code(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (body, client) = read_body::<PhoneAndCodeBody>(&app, request).await?;
    let phone = PhoneNumber::parse(&body.phone)?;
    let answer = app.accounts.sign_in_by_phone(&phone, &body.code, &client).await?;
    Ok(outcome(&answer))
}

/// Make the phone a second factor
///
/// If it is the account's first, the answer has recovery codes, shown this once, and the account's other sessions end. Takes a
/// sign-in of the last ten minutes; an account with a second factor has to have shown it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/phone/enable",
    operation_id = "enablePhoneFactor",
    tag = "Accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 200, description = "From now on sign-ins ask for a second factor", body = schemas::EnabledFactor))
)]
pub(crate) async fn enable_factor(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Enabled<'c> {
        #[serde(skip_serializing_if = "Option::is_none")]
        recovery_codes: Option<Vec<&'c str>>,
    }
    let user = account_of(&caller)?;
    let (NothingBody {}, client) = read_body(&app, request).await?;
    let codes = app.accounts.enable_phone_factor(user, &client).await?;
    let codes = codes.as_ref().map(|codes| codes.0.iter());
    let recovery_codes = codes.map(|codes| codes.map(SecretText::expose).collect());
    Ok(answer::json_of(StatusCode::OK, &Enabled { recovery_codes }))
}

/// Make the phone a second factor no more
///
/// Takes a sign-in of the last ten minutes that has shown a second factor.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/phone/disable",
    operation_id = "disablePhoneFactor",
    tag = "Accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 204, description = "The phone is asked for no more"))
)]
pub(crate) async fn disable_factor(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (NothingBody {}, client) = read_body(&app, request).await?;
    app.accounts.disable_phone_factor(user, &client).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Ask for a text message with a code of the second factor
///
/// With the ticket that the first factor gave; or, by who is signed in, without one: to show within the session that the account's
/// phone is still at hand. `mfa/verify` takes the code.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/phone/send",
    operation_id = "requestPhoneFactor",
    tag = "Accounts",
    request_body(content = schemas::TicketOnly, example = json!({"ticket": "0f343b0931126a20f133d67c2b018a3bc7Q…"})),
    responses((status = 202, description = "A code is on its way", body = schemas::Nothing))
)]
pub(crate) async fn send_factor(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        ticket: Option<String>,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    match &body.ticket {
        Some(ticket) => app.accounts.request_phone_factor(ticket, &client).await?,
        None => app
            .accounts
            .request_phone_step_up(account_of(&caller)?, &client)?,
    }
    Ok(accepted())
}
