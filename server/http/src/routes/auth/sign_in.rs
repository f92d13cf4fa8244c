//! Signing in: `sign-in` and `custom`.

use andiron_auth::Password;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{of_body, outcome, read_body, signed_in};
use crate::app::AppRef;
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

/// Sign in with a password
///
/// For an unknown address the answer is the same as for a wrong password, and takes as long.
#[utoipa::path(
    post,
    path = "/api/v1/auth/sign-in",
    operation_id = "signIn",
    tag = "Accounts",
    request_body(content = schemas::SignIn, example = json!({"email": "ada@example.org", "password": "correct horse battery"})),
    responses(
        (status = 200, description = "The account and its session, or that a second factor is due", body = schemas::SignInOutcome),
        (status = 401, description = "The address or the password is wrong", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn sign_in(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        password: String,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let password = Password::parse(body.password)?;
    let answer = app.accounts.sign_in(&body.email, &password, &client).await?;
    Ok(outcome(&answer))
}

/// Sign in with a custom token
///
/// One that a service key had minted. The account is made if there is none of its id.
#[utoipa::path(
    post,
    path = "/api/v1/auth/custom",
    operation_id = "signInWithCustomToken",
    tag = "Accounts",
    request_body(content = schemas::CustomToken, example = json!({"token": "eyJ…"})),
    responses((status = 200, description = "The account and its session", body = schemas::SignedIn))
)]
pub(crate) async fn custom(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        token: String,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let answer = app
        .accounts
        .sign_in_with_custom_token(&body.token, &client)
        .await
        .map_err(|error| of_body(error, "the custom token is not in force: have a new one minted"))?;
    Ok(signed_in(StatusCode::OK, &answer))
}
