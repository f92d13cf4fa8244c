//! Passkeys: making and looking after one's own, and signing in with them.

use andiron_auth::{
    ClientInfo, NewPasskey, PasskeyOptions, PasskeyProof, PasskeyUse, PasskeyView, SecretText,
};
use andiron_engine::Caller;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{read_body, read_plain, signed_in};
use crate::answer;
use crate::app::AppRef;
use crate::caller::{CallerOf, account_of};
use crate::openapi::passkey_schemas as schemas;
use crate::openapi::{account_schemas, schemas as common};
use crate::problem::ApiError;

/// What a browser is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OptionsJson {
    public_key: PasskeyOptions,
}

/// Begin to make a passkey
///
/// What `publicKey` has goes through `PublicKeyCredential.parseCreationOptionsFromJSON` into `navigator.credentials.create`. With
/// `secondFactor` it is asked for after a password, and does not sign in alone. Takes a sign-in of the last ten minutes; an
/// account with a second factor has to have shown it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/passkeys/register/start",
    operation_id = "startPasskey",
    tag = "Accounts",
    request_body(content = schemas::PasskeyWanted, example = json!({})),
    responses((status = 200, description = "What the browser is told", body = schemas::CreationOptionsAnswer))
)]
pub(crate) async fn start_registration(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Body {
        #[serde(default)]
        second_factor: bool,
    }
    let user = account_of(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
    let public_key = app
        .accounts
        .start_passkey(user, body.second_factor, &client)
        .await?;
    Ok(answer::json_of(StatusCode::OK, &OptionsJson { public_key }))
}

/// Add the passkey that was made
///
/// `credential` is the browser's `PublicKeyCredential.toJSON()`, within five minutes and once. If the passkey is the account's
/// first second factor, the answer has recovery codes, shown this once, and the account's other sessions end.
#[utoipa::path(
    post,
    path = "/api/v1/auth/passkeys/register/finish",
    operation_id = "addPasskey",
    tag = "Accounts",
    request_body(content = schemas::MadePasskey, example = json!({"name": "My phone", "credential": {"id": "5sdl…", "rawId": "5sdl…",
        "type": "public-key", "response": {"clientDataJSON": "eyJ0…", "attestationObject": "o2Nm…", "transports": ["internal"]}}})),
    responses((status = 201, description = "The passkey", body = schemas::AddedPasskey))
)]
pub(crate) async fn finish_registration(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        name: String,
        credential: NewPasskey,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Added<'a> {
        passkey: &'a PasskeyView,
        #[serde(skip_serializing_if = "Option::is_none")]
        recovery_codes: Option<Vec<&'a str>>,
    }
    let user = account_of(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
    let added = app
        .accounts
        .add_passkey(user, &body.credential, &body.name, &client)
        .await?;
    let codes = added.recovery_codes.as_ref();
    let json = Added {
        passkey: &added.passkey,
        recovery_codes: codes.map(|codes| codes.0.iter().map(SecretText::expose).collect()),
    };
    Ok(answer::json_of(StatusCode::CREATED, &json))
}

/// What a passkey is to show, for this caller.
fn wanted<'r>(caller: &'r Caller, ticket: Option<&'r str>, email: Option<&'r str>) -> PasskeyUse<'r> {
    match (ticket, email, caller) {
        (Some(ticket), _, _) => PasskeyUse::SecondFactor(ticket),
        (None, None, Caller::User(user)) => PasskeyUse::StepUp(user),
        (None, email, _) => PasskeyUse::SignIn(email),
    }
}

/// Begin to use a passkey
///
/// To sign in: with nothing, or with the `email` of the account that is meant; the answer is the same for all addresses. With the
/// `ticket` of a first factor, to show the second. With an access token and nothing else, to show within a session that it is still its owner. What
/// `publicKey` has goes through `PublicKeyCredential.parseRequestOptionsFromJSON` into `navigator.credentials.get`.
#[utoipa::path(
    post,
    path = "/api/v1/auth/passkeys/sign-in/start",
    operation_id = "startPasskeySignIn",
    tag = "Accounts",
    request_body(content = schemas::PasskeySignIn, example = json!({"email": "ada@example.org"})),
    responses((status = 200, description = "What the browser is told", body = schemas::RequestOptionsAnswer))
)]
pub(crate) async fn start_sign_in(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: Option<String>,
        ticket: Option<String>,
    }
    let (body, client) = read_body::<Body>(&app, request).await?;
    if body.ticket.is_some() && body.email.is_some() {
        return Err(
            ApiError::invalid("a ticket says whose it is: `email` does not go with it").in_field("email"),
        );
    }
    let what = wanted(&caller, body.ticket.as_deref(), body.email.as_deref());
    let public_key = app.accounts.start_passkey_use(what, &client).await?;
    Ok(answer::json_of(StatusCode::OK, &OptionsJson { public_key }))
}

/// Sign in with a passkey
///
/// `credential` is the browser's `PublicKeyCredential.toJSON()`, within five minutes and once; with the `ticket` or the access token that
/// it was begun with. A passkey that made sure who uses it is two factors in one, so that nothing more is asked. Within a session
/// the answer is a new one in its place.
#[utoipa::path(
    post,
    path = "/api/v1/auth/passkeys/sign-in/finish",
    operation_id = "signInWithPasskey",
    tag = "Accounts",
    request_body(content = schemas::UsedPasskey, example = json!({"credential": {"id": "5sdl…", "rawId": "5sdl…", "type": "public-key",
        "response": {"clientDataJSON": "eyJ0…", "authenticatorData": "SZYN…", "signature": "MEUC…", "userHandle": "mK0x…"}}})),
    responses(
        (status = 200, description = "The account and its session", body = account_schemas::SignedIn),
        (status = 401, description = "The passkey does not show who it is", body = common::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn finish_sign_in(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        credential: PasskeyProof,
        ticket: Option<String>,
    }
    let (body, client): (Body, ClientInfo) = read_body(&app, request).await?;
    let what = wanted(&caller, body.ticket.as_deref(), None);
    let answer = app
        .accounts
        .finish_passkey_use(what, &body.credential, &client)
        .await?;
    Ok(signed_in(StatusCode::OK, &answer))
}

/// List the account's passkeys
///
/// An account with a second factor has to have shown it.
#[utoipa::path(
    get,
    path = "/api/v1/auth/passkeys",
    operation_id = "listPasskeys",
    tag = "Accounts",
    responses((status = 200, description = "The passkeys, the oldest first", body = schemas::Passkeys))
)]
pub(crate) async fn list(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Passkeys {
        passkeys: Vec<PasskeyView>,
    }
    let user = account_of(&caller)?;
    read_plain(&app, request)?;
    let passkeys = app.accounts.passkeys(user)?;
    Ok(answer::json_of(StatusCode::OK, &Passkeys { passkeys }))
}

/// Rename a passkey
#[utoipa::path(
    patch,
    path = "/api/v1/auth/passkeys/{id}",
    operation_id = "renamePasskey",
    tag = "Accounts",
    params(("id" = String, Path, description = "The passkey's id", example = "4bf5122f344554c53bde2ebb8cd2b7e3")),
    request_body(content = schemas::PasskeyName, example = json!({"name": "My phone"})),
    responses(
        (status = 200, description = "The passkey", body = schemas::PasskeyAnswer),
        (status = 404, description = "There is no such passkey", body = common::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rename(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
    }
    #[derive(Serialize)]
    struct Passkey {
        passkey: PasskeyView,
    }
    let user = account_of(&caller)?;
    let (body, client) = read_body::<Body>(&app, request).await?;
    let passkey = app
        .accounts
        .rename_passkey(user, &id, &body.name, &client)
        .await?;
    Ok(answer::json_of(StatusCode::OK, &Passkey { passkey }))
}

/// Remove a passkey
///
/// Takes a sign-in of the last ten minutes, and leaves no account without a way to sign in.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/passkeys/{id}",
    operation_id = "removePasskey",
    tag = "Accounts",
    params(("id" = String, Path, description = "The passkey's id", example = "4bf5122f344554c53bde2ebb8cd2b7e3")),
    responses(
        (status = 204, description = "It signs nobody in any more"),
        (status = 404, description = "There is no such passkey", body = common::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn remove(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let user = account_of(&caller)?;
    let (_, client) = read_plain(&app, request)?;
    app.accounts.remove_passkey(user, &id, &client).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
