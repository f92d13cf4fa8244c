//! Signing in with identity providers.

use andiron_auth::{OauthAnswer, OauthProof};
use axum::extract::{Path, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::{outcome, read_body, read_plain};
use crate::answer;
use crate::app::AppRef;
use crate::body::read_form;
use crate::caller::{CallerOf, account_of};
use crate::client::client_info;
use crate::openapi::account_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::session_cookies::cookies;

/// The cookie by which the end of a flow knows the browser of its beginning.
const COOKIE_NAME: &str = "andiron-oauth";
/// How long the browser keeps it, in seconds.
const COOKIE_SECONDS: u32 = 600;

/// The parts of a provider's answer.
const FIELDS: [&str; 4] = ["state", "code", "iss", "user"];
/// Bytes of an answer that a browser posts.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// The cookie's name and attributes. Over HTTPS it has the prefix that no other host can set.
fn cookie(url: &str) -> (String, &'static str) {
    if url.starts_with("https://") {
        (format!("__Host-{COOKIE_NAME}"), "; Secure")
    } else {
        (COOKIE_NAME.to_owned(), "")
    }
}

fn redirect(location: &str, cookie: &str) -> Result<Response, ApiError> {
    let mut response = answer::empty(StatusCode::FOUND);
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| ApiError::internal("a redirect has characters that no header takes"))
    };
    response.headers_mut().insert(LOCATION, value(location)?);
    response.headers_mut().insert(SET_COOKIE, value(cookie)?);
    Ok(response)
}

/// Sign in with a provider, in a browser
///
/// Sends the browser to the provider and, when somebody has signed in there, back to `redirect` with `#code=…`, which
/// `POST …/token` exchanges for a session within a minute, once; or with `#error=…`.
#[utoipa::path(
    get,
    path = "/api/v1/auth/oauth/{provider}/start",
    operation_id = "startOauth",
    tag = "Accounts",
    security(()),
    params(
        ("provider" = String, Path, description = "The provider's name in the settings", example = "google"),
        ("redirect" = String, Query, description = "Where the app wants to have the browser back: exactly one of `auth.redirects`"),
        ("challenge" = Option<String>, Query, description = "The base64url of the SHA-256 of a secret of the app's, to be shown with the code"),
    ),
    responses((status = 302, description = "To the provider"))
)]
pub(crate) async fn start(
    State(app): State<AppRef>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let parameters = Parameters::read(parts.uri.query(), &["redirect", "challenge"])?;
    let target = parameters
        .get("redirect")
        .ok_or_else(|| ApiError::invalid("`redirect` is needed").in_field("redirect"))?;
    let client = client_info(&app.options, &parts);
    let begun = app
        .accounts
        .start_oauth(&provider, target, parameters.get("challenge"), &client)
        .await?;
    let (name, secure) = cookie(&app.accounts.options().url);
    let cookie = format!(
        "{name}={}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}",
        begun.browser_secret.expose()
    );
    redirect(&begun.location, &cookie)
}

/// Where providers send browsers back to
#[utoipa::path(
    get,
    path = "/api/v1/auth/oauth/{provider}/callback",
    operation_id = "finishOauth",
    tag = "Accounts",
    security(()),
    params(
        ("provider" = String, Path, description = "The provider's name in the settings", example = "google"),
        ("state" = String, Query, description = "What the flow was begun with"),
        ("code" = Option<String>, Query, description = "The provider's code"),
        ("error" = Option<String>, Query, description = "Why there is none"),
    ),
    responses((status = 302, description = "To the app"))
)]
pub(crate) async fn callback(
    State(app): State<AppRef>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let known = known_fields(parts.uri.query().unwrap_or_default());
    let parameters = Parameters::read(Some(&known), &FIELDS)?;
    let client = client_info(&app.options, &parts);
    let (name, secure) = cookie(&app.accounts.options().url);
    let location = app
        .accounts
        .finish_oauth(
            &provider,
            OauthAnswer {
                state: parameters.get("state").unwrap_or_default(),
                code: parameters.get("code"),
                issuer: parameters.get("iss"),
                user: parameters.get("user"),
            },
            cookies(&parts.headers, &name).next(),
            &client,
        )
        .await?;
    redirect(
        &location,
        &format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"),
    )
}

/// Where providers have browsers post to
///
/// Apple answers so. The browser is sent on to the same place by `GET`: only then it brings the cookie of its flow, which other sites
/// cannot have it send with a form.
#[utoipa::path(
    post,
    path = "/api/v1/auth/oauth/{provider}/callback",
    operation_id = "finishOauthByForm",
    tag = "Accounts",
    security(()),
    params(("provider" = String, Path, description = "The provider's name in the settings", example = "apple")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = "state=0f343b09&code=c1d2"),
    responses((status = 303, description = "To the same place by `GET`"))
)]
pub(crate) async fn callback_by_form(
    State(app): State<AppRef>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    if !app.accounts.posts_back(&provider)? {
        return Err(ApiError::invalid("this provider answers by `GET`"));
    }
    let form = read_form(&parts.headers, body, FORM_BYTES_MAX, &app.options).await?;
    // In a URL a plus is a plus.
    let fields = known_fields(&form).replace('+', "%20");
    let url = &app.accounts.options().url;
    let location = format!("{url}/api/v1/auth/oauth/{provider}/callback?{fields}");
    let location = HeaderValue::from_str(&location).map_err(|_| ApiError::invalid("this is no form"))?;
    let mut response = answer::empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// What is taken of a provider's answer. Providers add what they like, and RFC 6749 has clients ignore it.
fn known_fields(answer: &str) -> String {
    let known = |pair: &&str| FIELDS.contains(&pair.split('=').next().unwrap_or_default());
    answer.split('&').filter(known).collect::<Vec<_>>().join("&")
}

/// Sign in with what a provider gave
///
/// The `code` that the browser came back with (and `verifier`, if the flow had a `challenge`); or an `idToken` that the client
/// got by itself (and the `nonce` that it asked with); or the provider's own `providerCode` with `redirectUri` and `codeVerifier` (and
/// the `nonce`, if it asked with one).
/// With the access token of an account, the identity is linked to that account.
#[utoipa::path(
    post,
    path = "/api/v1/auth/oauth/{provider}/token",
    operation_id = "signInWithProvider",
    tag = "Accounts",
    params(("provider" = String, Path, description = "The provider's name in the settings", example = "google")),
    request_body(content = schemas::ProviderProof, example = json!({"code": "0f343b0931126a20f133d67c2b018a3bc7Q…"})),
    responses(
        (status = 200, description = "The account and its session, or that a second factor is due", body = schemas::SignInOutcome),
        (status = 401, description = "The provider does not confirm it", body = crate::openapi::schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn token(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        code: Option<String>,
        verifier: Option<String>,
        id_token: Option<String>,
        nonce: Option<String>,
        provider_code: Option<String>,
        redirect_uri: Option<String>,
        code_verifier: Option<String>,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    let proof = match (&body.code, &body.id_token, &body.provider_code) {
        (Some(code), None, None) => OauthProof::Code {
            code,
            verifier: body.verifier.as_deref(),
        },
        (None, Some(token), None) => OauthProof::IdToken {
            token,
            nonce: body.nonce.as_deref(),
        },
        (None, None, Some(code)) => OauthProof::ProviderCode {
            code,
            redirect_uri: body.redirect_uri.as_deref().unwrap_or_default(),
            nonce: body.nonce.as_deref(),
            // Without PKCE a code that leaked would do.
            verifier: body
                .code_verifier
                .as_deref()
                .filter(|verifier| verifier.len() >= 43)
                .ok_or_else(|| ApiError::invalid("`codeVerifier` is needed").in_field("codeVerifier"))?,
        },
        _ => {
            return Err(ApiError::invalid(
                "give one of `code`, `idToken` and `providerCode`",
            ));
        }
    };
    let answer = app
        .accounts
        .sign_in_with_provider(&caller, &provider, proof, &client)
        .await?;
    Ok(outcome(&answer))
}

/// Unlink a provider
///
/// Takes a sign-in of the last ten minutes, and leaves no account without a way to sign in.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/providers/{provider}",
    operation_id = "unlinkProvider",
    tag = "Accounts",
    params(("provider" = String, Path, description = "The provider as the account lists it", example = "google.com")),
    responses((status = 200, description = "The account", body = schemas::AccountAnswer))
)]
pub(crate) async fn unlink(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (_, client) = read_plain(&app, request)?;
    let account = app.accounts.unlink_provider(user, &provider, &client).await?;
    Ok(super::account(StatusCode::OK, &account))
}
