//! `/.well-known/…`: what other services need to verify access tokens by themselves.

use andiron_auth::JsonWebKey;
use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use crate::answer;
use crate::app::AppRef;
use crate::openapi::account_schemas as schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// How long verifiers may keep the keys. A new key signs at once, so they look again when they meet an unknown `kid`.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The keys that verify access tokens
///
/// A JSON Web Key Set of Ed25519 keys (`EdDSA`). Verify `iss`, `aud` and `exp` besides the signature. A token that
/// verifies may belong to a session that has been revoked since; this server itself refuses it then.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jsonWebKeys",
    tag = "Accounts",
    responses((status = 200, description = "The keys in force", body = schemas::JsonWebKeys))
)]
pub(crate) async fn jwks(State(app): State<AppRef>, request: Request) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Keys {
        keys: Vec<JsonWebKey>,
    }
    Parameters::read(request.uri().query(), &[])?;
    let keys = app.accounts.public_keys();
    Ok(kept(answer::json_of(StatusCode::OK, &Keys { keys })))
}

/// What a verifier of access tokens needs to know
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    operation_id = "openidConfiguration",
    tag = "Accounts",
    responses((status = 200, description = "The issuer and where its keys are", body = schemas::OpenidConfiguration))
)]
pub(crate) async fn openid_configuration(
    State(app): State<AppRef>,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Configuration<'c> {
        issuer: &'c str,
        jwks_uri: String,
        response_types_supported: [&'static str; 1],
        subject_types_supported: [&'static str; 1],
        id_token_signing_alg_values_supported: [&'static str; 1],
    }
    Parameters::read(request.uri().query(), &[])?;
    let issuer = &app.accounts.options().url;
    let configuration = Configuration {
        issuer,
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["EdDSA"],
    };
    Ok(kept(answer::json_of(StatusCode::OK, &configuration)))
}

fn kept(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, KEPT);
    response
}
