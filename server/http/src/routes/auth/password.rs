//! Passwords of accounts: `password/change`.

use andiron_auth::Password;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::read_body;
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
        .await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
