//! Sessions of browsers in cookies, where the settings have them: no script ever holds a token.
//!
//! A client that signs in or refreshes with `X-Andiron-Session: cookie` gets its tokens as cookies which scripts cannot read, and
//! whose prefix `__Host-` no other host can set, so that nobody plants a session. A request without `Authorization` is then
//! its cookie's. What comes with every request proves no intent, so each that could change something, and each socket, has
//! to come from a page of this server or of a configured origin, and the former has to say a token besides, which only such a page
//! can read. That token follows from the session's refresh token and is kept nowhere.

use std::sync::Arc;

use andiron_auth::SignedIn;
use andiron_protocol::{ErrorCode, Timestamp};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, COOKIE, ORIGIN, SET_COOKIE, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::app::AppRef;
use crate::cors;
use crate::problem::ApiError;
use crate::routes::auth::signed_in_by_cookies;

const ACCESS: &str = "__Host-andiron-access";
const REFRESH: &str = "__Host-andiron-refresh";
const CSRF: &str = "__Host-andiron-csrf";
/// By which a client asks for cookies. No form and no foreign page without leave can send it.
const FORM_HEADER: &str = "x-andiron-session";
const CSRF_HEADER: &str = "x-csrf-token";
/// Where a session is begun and ended: a cookie that is not in force any more keeps nobody out there.
const AUTH_ROUTES: &str = "/api/v1/auth/";
/// Where the refresh cookie is taken. The page that asks may just have been loaded, and know no token yet.
const REFRESH_ROUTE: &str = "/api/v1/auth/refresh";

/// An answer that has begun or refreshed a session.
#[derive(Clone)]
pub(crate) struct BegunSession(pub(crate) Arc<SignedIn>);

/// An answer after which there is no session.
#[derive(Clone, Copy)]
pub(crate) struct EndedSession;

/// The values of a request's cookies of a name.
pub(crate) fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Whether a client asks for cookies rather than tokens.
pub(crate) fn are_asked_for(app: &AppRef, headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(form) = headers.get(FORM_HEADER) else {
        return Ok(false);
    };
    let problem = |detail: &str| Err(ApiError::invalid(detail).in_field("X-Andiron-Session"));
    if form != "cookie" {
        return problem("`X-Andiron-Session` is `cookie`, or is not there");
    }
    if !app.options.session_cookies {
        return problem("this server keeps no sessions in cookies: see `auth.cookies`");
    }
    Ok(true)
}

/// The access token of a request that has none in its header.
pub(crate) fn access_token<'h>(app: &AppRef, headers: &'h HeaderMap) -> Result<Option<&'h str>, ApiError> {
    if app.options.session_cookies {
        only_one(headers, ACCESS)
    } else {
        Ok(None)
    }
}

/// The refresh token of a request that asks for new cookies, and comes from where it may.
pub(crate) fn refresh_token(app: &AppRef, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    if !are_asked_for(app, headers)? {
        return Ok(None);
    }
    check_origin(app, headers)?;
    Ok(only_one(headers, REFRESH)?.map(ToOwned::to_owned))
}

fn only_one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ApiError> {
    let mut values = cookies(headers, name);
    let value = values.next();
    if values.next().is_some() {
        let detail = format!("there is more than one cookie `{name}`");
        return Err(ApiError::new(ErrorCode::Unauthenticated, detail));
    }
    Ok(value)
}

/// Whether a request is taken for nobody's where its cookie is not in force.
pub(crate) fn is_lenient(request: &Request) -> bool {
    request.uri().path().starts_with(AUTH_ROUTES)
}

/// Whether a request is never its access cookie's.
pub(crate) fn is_refresh(request: &Request) -> bool {
    request.uri().path() == REFRESH_ROUTE
}

/// Refuses what may not be the intent of whose cookie it comes with.
pub(crate) fn check_intent(app: &AppRef, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && !headers.contains_key(UPGRADE) {
        return Ok(());
    }
    check_origin(app, headers)?;
    if is_safe {
        return Ok(());
    }
    let said = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
    let expected = only_one(headers, REFRESH)?.and_then(csrf_token);
    // Compared by their digests, so that the time tells nothing about where they differ.
    let digest = |token: &[u8]| Sha256::digest(token);
    if said.is_some() && said.map(digest) == expected.map(|expected| digest(expected.as_bytes())) {
        return Ok(());
    }
    Err(refused(
        "a session in cookies takes `X-CSRF-Token`: the cookie `__Host-andiron-csrf`, or `csrfToken` of the session",
    ))
}

/// Refuses what does not come from a page of this server or of a configured origin.
fn check_origin(app: &AppRef, headers: &HeaderMap) -> Result<(), ApiError> {
    let is_allowed = match headers.get(ORIGIN) {
        // No browser sends two.
        Some(_) if headers.get_all(ORIGIN).iter().count() > 1 => false,
        Some(_) => {
            cors::is_own(headers) || cors::allowed_origin(&app.options.cors_origins, headers).is_some()
        }
        // Browsers that leave the origin out say at least this.
        None => headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin"),
    };
    if is_allowed {
        return Ok(());
    }
    Err(refused(
        "a session in cookies is for pages of this server, and of the origins in `http.cors_origins`",
    ))
}

fn refused(detail: &str) -> ApiError {
    // Either somebody builds an app, or somebody tries what no page may.
    tracing::info!(detail, "a request with the cookie of a session was refused");
    ApiError::new(ErrorCode::PermissionDenied, detail)
}

/// What pages say to show that a request is theirs: it follows from what all refresh tokens of the session share.
fn csrf_token(refresh_token: &str) -> Option<String> {
    let (session, _) = refresh_token.rsplit_once('.')?;
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(format!("andiron csrf {session}"))))
}

/// Completes an answer: the tokens of a session go into cookies if they were asked for, and leave those of one that has ended.
pub(crate) fn complete(app: &AppRef, are_asked_for: bool, mut response: Response) -> Response {
    let begun = response.extensions_mut().remove::<BegunSession>();
    let has_ended = response.extensions_mut().remove::<EndedSession>().is_some();
    if !app.options.session_cookies {
        return response;
    }
    let mut set = Vec::new();
    if let Some(BegunSession(signed_in)) = begun.filter(|_| are_asked_for) {
        let tokens = &signed_in.tokens;
        let csrf = csrf_token(tokens.refresh_token.expose()).unwrap_or_default();
        let idle = app.accounts.options().session_idle_time.as_secs();
        let left = seconds_until(app.engine.now(), tokens.expires_at);
        set = vec![
            cookie(ACCESS, tokens.access_token.expose(), left, true),
            cookie(REFRESH, tokens.refresh_token.expose(), idle, true),
            cookie(CSRF, &csrf, idle, false),
        ];
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(signed_in_by_cookies(&signed_in, &csrf));
    } else if has_ended {
        set = vec![
            cookie(ACCESS, "", 0, true),
            cookie(REFRESH, "", 0, true),
            cookie(CSRF, "", 0, false),
        ];
    }
    for cookie in set {
        // Tokens are made of characters that headers take.
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

fn seconds_until(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from((then.as_micros() - now.as_micros()) / 1_000_000).unwrap_or(0)
}

fn cookie(name: &str, value: &str, seconds: u64, is_hidden: bool) -> String {
    let hidden = if is_hidden { "; HttpOnly" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure{hidden}; SameSite=Strict")
}
