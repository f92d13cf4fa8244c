//! Second factors: an authenticator's codes and recovery codes.

use andiron_auth::SecretText;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{CodeBody, NothingBody, read_body, signed_in};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

/// Pass the second factor
///
/// With the ticket that the first factor gave, and a code of an authenticator or a recovery code, which is used up. Without a
/// ticket but with an access token, the session makes way for one that has shown the second factor.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/verify",
    operation_id = "passSecondFactor",
    tag = "Accounts",
    request_body(content = schemas::TicketAndCode, example = json!({"ticket": "0f343b0931126a20f133d67c2b018a3bc7Q…", "code": "123456"})),
    responses((status = 200, description = "The account and its session", body = schemas::SignedIn))
)]
pub(crate) async fn verify(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        ticket: Option<String>,
        code: String,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let accounts = &app.accounts;
    let answer = match &body.ticket {
        Some(ticket) => accounts.pass_second_factor(ticket, &body.code, &client).await?,
        None => {
            let user = account_of(&caller)?;
            accounts.step_up_by_code(user, &body.code, &client).await?
        }
    };
    Ok(signed_in(StatusCode::OK, &answer))
}

/// Begin to set up an authenticator
///
/// Nothing is asked of a sign-in before a code confirms it. Takes a sign-in of the last ten minutes.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/totp/enrol",
    operation_id = "enrolTotp",
    tag = "Accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 200, description = "What the authenticator needs to know", body = schemas::TotpEnrolment))
)]
pub(crate) async fn enrol_totp(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Enrolment<'e> {
        secret: &'e str,
        uri: &'e str,
    }
    let user = account_of(&caller)?;
    let (NothingBody {}, _) = read_body(&app, request).await?;
    let enrolment = app.accounts.enrol_totp(user).await?;
    Ok(answer::json_of(
        StatusCode::OK,
        &Enrolment {
            secret: enrolment.secret.expose(),
            uri: enrolment.uri.expose(),
        },
    ))
}

/// Put the authenticator in force
///
/// By a code that it shows. The answer has recovery codes, shown this once, each good for one sign-in. The account's other
/// sessions end.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/totp/confirm",
    operation_id = "confirmTotp",
    tag = "Accounts",
    request_body(content = schemas::Code, example = json!({"code": "123456"})),
    responses((status = 200, description = "The recovery codes", body = schemas::RecoveryCodes))
)]
pub(crate) async fn confirm_totp(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Codes<'c> {
        recovery_codes: Vec<&'c str>,
    }
    let user = account_of(&caller)?;
    let (body, client) = read_body::<CodeBody>(&app, request).await?;
    let codes = app.accounts.confirm_totp(user, &body.code, &client).await?;
    let codes: Vec<_> = codes.0.iter().map(SecretText::expose).collect();
    Ok(answer::json_of(
        StatusCode::OK,
        &Codes {
            recovery_codes: codes,
        },
    ))
}

/// Take the authenticator away
///
/// By a code of it or a recovery code. Takes a sign-in of the last ten minutes.
#[utoipa::path(
    post,
    path = "/api/v1/auth/mfa/totp/disable",
    operation_id = "disableTotp",
    tag = "Accounts",
    request_body(content = schemas::Code, example = json!({"code": "123456"})),
    responses((status = 204, description = "A sign-in asks for no second factor any more"))
)]
pub(crate) async fn disable_totp(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (body, client) = read_body::<CodeBody>(&app, request).await?;
    app.accounts.disable_totp(user, &body.code, &client).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
