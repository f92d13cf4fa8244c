//! Who calls: from the `Authorization` header to a [`Caller`].
//!
//! The gate does this once, before anything else is looked at; handlers take the result as an argument. A header that
//! does not verify is an error, never an anonymous caller. Tokens are taken from this header and from nowhere else.

use andiron_auth::ServiceKeys;
use andiron_engine::Caller;
use andiron_protocol::ErrorCode;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::problem::ApiError;

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
    keys: &ServiceKeys,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    if source == CallerSource::Owner {
        return Ok(Caller::Owner);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(Caller::Anonymous);
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
        Some(token) if !token.is_empty() => Ok(keys.verify(token)?),
        _ => Err(unauthenticated(
            "the `Authorization` header is not of the form `Bearer TOKEN`",
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
