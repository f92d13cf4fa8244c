//! Sessions: `refresh`, `sign-out` and `sessions`.

use andiron_auth::{AuthError, SessionView};
use andiron_protocol::Value;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::{ended, of_body, read_body, read_plain, signed_in};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::account_schemas as schemas;
use crate::problem::ApiError;
use crate::session_cookies;

/// Exchange a refresh token for new tokens
///
/// A refresh token works once; its answer has the next. Using one again ends the session, except within some seconds,
/// when the second request gets 409 `aborted` and the session goes on with what the first was given. A browser whose session is
/// in cookies sends `X-Andiron-Session: cookie` and no token.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    operation_id = "refreshSession",
    tag = "Accounts",
    request_body(content = schemas::Refresh, example = json!({"refreshToken": "ar_…"})),
    responses(
        (status = 200, description = "The account as it is now, and the session's new tokens", body = schemas::SignedIn),
        (status = 401, description = "The token is not in force; sign in again", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn refresh(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        refresh_token: Option<String>,
    }
    const REFUSED: &str = "the refresh token is not in force: its session has ended; sign in again";
    let by_cookie = session_cookies::refresh_token(&app, request.headers())?;
    let (body, client) = read_body::<Body>(&app, request).await?;
    let token = match (body.refresh_token, &by_cookie) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "give the refresh token in the body or as a cookie, not both",
            ));
        }
        (Some(token), None) => token,
        (None, Some(token)) => token.clone(),
        (None, None) => return Err(ApiError::invalid("`refreshToken` is needed").in_field("refreshToken")),
    };
    match app.accounts.refresh(&token, &client).await {
        Ok(answer) => Ok(signed_in(StatusCode::OK, &answer)),
        // A cookie that is good for nothing any more would be sent for ever.
        Err(AuthError::Unauthenticated) if by_cookie.is_some() => Ok(ended(
            of_body(AuthError::Unauthenticated, REFUSED).into_response(),
        )),
        Err(error) => Err(of_body(error, REFUSED)),
    }
}

/// Sign out
///
/// Ends the session of the access token, or with `all` every session of the account. Its tokens are refused from the
/// next request on, and cookies of a session go.
#[utoipa::path(
    post,
    path = "/api/v1/auth/sign-out",
    operation_id = "signOut",
    tag = "Accounts",
    request_body(content = schemas::SignOut, example = json!({"all": false})),
    responses((status = 204, description = "Signed out"))
)]
pub(crate) async fn sign_out(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        all: bool,
    }
    let user = match account_of(&caller) {
        Ok(user) => user,
        Err(error) => return Ok(ended(error.into_response())),
    };
    let (body, client) = read_body::<Body>(&app, request).await?;
    app.accounts.sign_out(user, body.all, &client).await?;
    Ok(ended(answer::empty(StatusCode::NO_CONTENT)))
}

/// The sessions as they stand in answers.
#[derive(Serialize)]
pub(crate) struct SessionsJson {
    pub(crate) sessions: Vec<SessionView>,
}

/// List the account's sessions
#[utoipa::path(
    get,
    path = "/api/v1/auth/sessions",
    operation_id = "listSessions",
    tag = "Accounts",
    responses((status = 200, description = "The sessions, the one used last first", body = schemas::Sessions))
)]
pub(crate) async fn list_sessions(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    read_plain(&app, request)?;
    let current = user.token.get("sid").and_then(Value::as_str);
    let sessions = app.accounts.sessions(&user.uid, current).await?;
    Ok(answer::json_of(StatusCode::OK, &SessionsJson { sessions }))
}

/// End a session
#[utoipa::path(
    delete,
    path = "/api/v1/auth/sessions/{id}",
    operation_id = "revokeSession",
    tag = "Accounts",
    params(("id" = String, Path, description = "The session's id", example = "01kb0x6d1m8vq3z5y7r9t2w4ha")),
    responses(
        (status = 204, description = "The session has ended"),
        (status = 404, description = "There is no such session", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revoke_session(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (_, client) = read_plain(&app, request)?;
    app.accounts
        .revoke_session(&user.uid, &id, &caller, &client)
        .await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
