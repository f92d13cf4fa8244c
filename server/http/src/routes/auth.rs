//! `/api/v1/auth/…`: what people do with their own accounts, one module for each flow.

pub(crate) mod action;
pub(crate) mod email;
pub(crate) mod me;
pub(crate) mod mfa;
pub(crate) mod oauth;
pub(crate) mod passkeys;
pub(crate) mod password;
pub(crate) mod phone;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod sign_up;

use std::sync::Arc;

use andiron_auth::{
    Account, AccountView, AuthError, ClientInfo, EmailAddress, SecondFactorDue, SessionTokens, SignInOutcome,
    SignedIn,
};
use andiron_protocol::{ErrorCode, Timestamp};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::app::AppRef;
use crate::body::read_typed;
use crate::client::client_info;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::session_cookies::{BegunSession, EndedSession};

/// Bytes of a body here: room for a profile, and none for a password of a megabyte.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Reads a request whose whole matter is a JSON body.
pub(crate) async fn read_body<T: DeserializeOwned>(
    app: &AppRef,
    request: Request,
) -> Result<(T, ClientInfo), ApiError> {
    let (parts, body) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    let read = read_typed(&parts.headers, body, BODY_BYTES_MAX, &app.options).await?;
    Ok((read, client_info(&app.options, &parts)))
}

/// Reads a request that says everything by its path.
pub(crate) fn read_plain(app: &AppRef, request: Request) -> Result<(Parts, ClientInfo), ApiError> {
    let (parts, _) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    let client = client_info(&app.options, &parts);
    Ok((parts, client))
}

/// An error of a request in whose body credentials were refused: in words that speak of these, not of the header's.
fn of_body(error: AuthError, words: &'static str) -> ApiError {
    match error {
        AuthError::Unauthenticated | AuthError::SignInFailed => {
            ApiError::new(ErrorCode::Unauthenticated, words)
        }
        error => error.into(),
    }
}

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NothingBody {}

/// A body that is an address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailBody {
    /// As it was typed: what cannot be an address is answered as one that nobody has.
    pub(crate) email: String,
}

impl EmailBody {
    /// The address, where one that cannot be is refused.
    pub(crate) fn address(&self) -> Result<EmailAddress, ApiError> {
        Ok(EmailAddress::parse(&self.email)?)
    }
}

/// A body that is a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeBody {
    pub(crate) code: String,
}

/// An account as it stands in answers.
pub(crate) fn account(status: StatusCode, account: &Account) -> Response {
    #[derive(Serialize)]
    struct AccountJson<'a> {
        account: AccountView<'a>,
    }
    let account = account.view();
    answer::json_of(status, &AccountJson { account })
}

/// A session's tokens as they stand in answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionJson<'s> {
    access_token: &'s str,
    refresh_token: &'s str,
    expires_at: Timestamp,
    id: &'s str,
}

#[derive(Serialize)]
struct SignedInJson<'s> {
    account: AccountView<'s>,
    session: SessionJson<'s>,
}

/// A session as it stands in answers that have its tokens in cookies.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CookieSessionJson<'s> {
    csrf_token: &'s str,
    expires_at: Timestamp,
    id: &'s str,
}

#[derive(Serialize)]
struct SignedInByCookiesJson<'s> {
    account: AccountView<'s>,
    session: CookieSessionJson<'s>,
}

/// The answer of whatever signs in, without tokens: those are in cookies.
pub(crate) fn signed_in_by_cookies(signed_in: &SignedIn, csrf_token: &str) -> Vec<u8> {
    let json = SignedInByCookiesJson {
        account: signed_in.account.view(),
        session: CookieSessionJson {
            csrf_token,
            expires_at: signed_in.tokens.expires_at,
            id: &signed_in.tokens.id,
        },
    };
    // As `json_of` has it.
    serde_json::to_vec(&json).unwrap_or_default()
}

/// The answer of whatever signs in. The gate puts the tokens into cookies for who asks for that.
pub(crate) fn signed_in(status: StatusCode, signed_in: &SignedIn) -> Response {
    let SessionTokens {
        access_token,
        refresh_token,
        expires_at,
        id,
    } = &signed_in.tokens;
    let json = SignedInJson {
        account: signed_in.account.view(),
        session: SessionJson {
            access_token: access_token.expose(),
            refresh_token: refresh_token.expose(),
            expires_at: *expires_at,
            id,
        },
    };
    let mut response = answer::json_of(status, &json);
    response
        .extensions_mut()
        .insert(BegunSession(Arc::new(signed_in.clone())));
    response
}

/// An answer after which there is no session any more: its cookies go.
pub(crate) fn ended(mut response: Response) -> Response {
    response.extensions_mut().insert(EndedSession);
    response
}

#[derive(Serialize)]
struct SecondFactorJson<'s> {
    mfa: TicketJson<'s>,
}

#[derive(Serialize)]
struct TicketJson<'s> {
    ticket: &'s str,
    factors: &'s [&'static str],
}

/// The answer of a first factor.
pub(crate) fn outcome(outcome: &SignInOutcome) -> Response {
    match outcome {
        SignInOutcome::SignedIn(session) => signed_in(StatusCode::OK, session),
        SignInOutcome::SecondFactor(SecondFactorDue { ticket, factors }) => {
            let mfa = TicketJson {
                ticket: ticket.expose(),
                factors,
            };
            answer::json_of(StatusCode::OK, &SecondFactorJson { mfa })
        }
    }
}

/// The answer of a request for a mail, whether or not there is one.
pub(crate) fn accepted() -> Response {
    answer::json(StatusCode::ACCEPTED, "{}")
}
