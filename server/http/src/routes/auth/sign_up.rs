//! Making accounts: `sign-up`, `anonymous` and `setup`.

use andiron_auth::{EmailAddress, NewSignUp, Password, ProfileChange};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{NothingBody, read_body, signed_in};
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;

/// Sign up with a password
///
/// Where signing up takes an invitation, `invitation` is its code. With the access token of an anonymous account, that account gets the address and the password and keeps its id.
#[utoipa::path(
    post,
    path = "/api/v1/auth/sign-up",
    operation_id = "signUp",
    tag = "Accounts",
    request_body(content = schemas::SignUp, example = json!({"email": "ada@example.org", "password": "correct horse battery", "profile": {"name": "Ada"}})),
    responses(
        (status = 201, description = "The account and its session", body = schemas::SignedIn),
        (status = 409, description = "There is an account with this address", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn sign_up(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        password: String,
        #[serde(default)]
        profile: ProfileChange,
        invitation: Option<String>,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let new = NewSignUp {
        email: EmailAddress::parse(&body.email)?,
        password: Password::parse(body.password)?,
        profile: body.profile,
        invitation: body.invitation,
    };
    let answer = app.accounts.sign_up(&caller, new, &client).await?;
    Ok(signed_in(StatusCode::CREATED, &answer))
}

/// Begin without credentials
///
/// Makes an anonymous account. Signing up with its access token turns it into one with an address.
#[utoipa::path(
    post,
    path = "/api/v1/auth/anonymous",
    operation_id = "signUpAnonymously",
    tag = "Accounts",
    request_body(content = schemas::Nothing, example = json!({})),
    responses((status = 201, description = "The account and its session", body = schemas::SignedIn))
)]
pub(crate) async fn anonymous(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    let (NothingBody {}, client) = read_body(&app, request).await?;
    let answer = app.accounts.sign_up_anonymously(&client).await?;
    Ok(signed_in(StatusCode::CREATED, &answer))
}

/// Make the first owner
///
/// With the secret that the server printed when it first started. It holds for 30 minutes and works once.
#[utoipa::path(
    post,
    path = "/api/v1/auth/setup",
    operation_id = "setUpOwner",
    tag = "Accounts",
    request_body(content = schemas::Setup, example = json!({"secret": "tbp2mvXyvO7ssUVHZn6Xqw", "email": "ada@example.org", "password": "correct horse battery"})),
    responses(
        (status = 201, description = "The owner and its session", body = schemas::SignedIn),
        (status = 400, description = "The secret is not in force, or there is an owner", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn setup(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        secret: String,
        email: String,
        password: String,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let email = EmailAddress::parse(&body.email)?;
    let password = Password::parse(body.password)?;
    let answer = app
        .accounts
        .finish_setup(&body.secret, &email, &password, &client)
        .await?;
    Ok(signed_in(StatusCode::CREATED, &answer))
}
