//! Who calls: from the `Authorization` header to a [`Caller`].
//!
//! The gate does this once, before anything else is looked at; handlers take the result as an argument. A header that
//! does not verify is an error, never an anonymous caller. Tokens are taken from this header, and from cookies where
//! the settings say so; never from a URL.

use std::sync::Arc;

use andiron_auth::{AdminRole, AuthError, admin_role};
use andiron_engine::{Caller, User};
use andiron_protocol::ErrorCode;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use crate::app::AppRef;
use crate::problem::ApiError;
use crate::session_cookies;

/// What every service key begins with, and no access token.
const SERVICE_KEY_PREFIX: &str = "ak_";
/// Calls that change nothing although their method could.
const READING_POSTS: [&str; 4] = [
    "/api/v1/query",
    "/api/v1/aggregate",
    "/api/v1/batch-get",
    "/api/v1/listen/tickets",
];

/// Where callers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerSource {
    /// Each request names its own in its header.
    Header,
    /// Whoever reaches the listener owns the data: the local socket.
    Owner,
}

/// Says who calls.
pub(crate) fn authenticate(
    source: CallerSource,
    app: &AppRef,
    request: &Request,
) -> Result<Caller, ApiError> {
    let headers = request.headers();
    if source == CallerSource::Owner {
        return Ok(Caller::Owner);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return by_cookie(app, request);
    };
    if values.next().is_some() {
        return Err(unauthenticated("there is more than one `Authorization` header"));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim_matches(' '));
    match token {
        Some(token) if token.starts_with(SERVICE_KEY_PREFIX) => Ok(app.keys.verify(token)?),
        Some(token) if !token.is_empty() => {
            let user = app.accounts.verify(token)?;
            Ok(Caller::User(with_reading_rights(user, request)))
        }
        _ => Err(unauthenticated(
            "the `Authorization` header is not of the form `Bearer TOKEN`",
        )),
    }
}

/// Who calls with a session in cookies, where the settings have that.
fn by_cookie(app: &AppRef, request: &Request) -> Result<Caller, ApiError> {
    let Some(token) = session_cookies::access_token(app, request.headers())? else {
        return Ok(Caller::Anonymous);
    };
    if session_cookies::is_refresh(request) {
        return Ok(Caller::Anonymous);
    }
    match app.accounts.verify(token) {
        Ok(user) => {
            session_cookies::check_intent(app, request)?;
            Ok(Caller::User(with_reading_rights(user, request)))
        }
        // Else nobody could sign in again whose session was ended elsewhere.
        Err(AuthError::Unauthenticated) if session_cookies::is_lenient(request) => Ok(Caller::Anonymous),
        Err(error) => Err(error.into()),
    }
}

/// An account with the role `viewer` administers as far as a request changes nothing.
fn with_reading_rights(user: Arc<User>, request: &Request) -> Arc<User> {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD)
        || READING_POSTS.contains(&request.uri().path());
    if is_reading { as_reader(user) } else { user }
}

/// An account as it is for what changes nothing: the role `viewer` administers there.
pub(crate) fn as_reader(user: Arc<User>) -> Arc<User> {
    if user.is_admin || admin_role(&user) != Some(AdminRole::Viewer) {
        return user;
    }
    // Somebody who acts as another has that one's rights.
    if user.token.contains_key("act") {
        return user;
    }
    Arc::new(User {
        is_admin: true,
        ..(*user).clone()
    })
}

/// Whether a token is of the form of service keys.
pub(crate) fn is_service_key(token: &str) -> bool {
    token.starts_with(SERVICE_KEY_PREFIX)
}

/// The token of a request whose caller the gate has found.
pub(crate) fn token_of<'h>(app: &AppRef, headers: &'h HeaderMap) -> Option<&'h str> {
    match headers.get(AUTHORIZATION) {
        Some(value) => {
            let (_, token) = value.to_str().ok()?.split_once(' ')?;
            Some(token.trim_matches(' '))
        }
        None => session_cookies::access_token(app, headers).ok()?,
    }
}

/// The account of a caller, for what only an account can do.
pub(crate) fn account_of(caller: &Caller) -> Result<&Arc<User>, ApiError> {
    match caller {
        Caller::User(user) => Ok(user),
        Caller::Anonymous => Err(unauthenticated(
            "this takes the access token of an account: sign in first",
        )),
        Caller::ServiceKey(_) | Caller::Owner | Caller::System => Err(ApiError::new(
            ErrorCode::PermissionDenied,
            "this is for accounts; administrators have `/api/v1/admin/accounts`",
        )),
    }
}

fn unauthenticated(detail: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, detail)
}

/// The kind of a caller, for logs: never anything that tells two callers of a kind apart.
pub(crate) fn kind(caller: &Caller) -> &'static str {
    match caller {
        Caller::Anonymous => "anonymous",
        Caller::User(_) => "user",
        Caller::ServiceKey(_) => "service-key",
        Caller::Owner => "owner",
        Caller::System => "system",
    }
}

/// The caller of a request, as the gate found it.
#[derive(Clone, Debug)]
pub(crate) struct CallerOf(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for CallerOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Every route stands behind the gate. Should one not, it refuses everybody.
        parts
            .extensions
            .remove::<Self>()
            .ok_or_else(|| ApiError::internal("a route is not behind the gate"))
    }
}
