//! Cross-origin requests: off unless origins are configured, and then for exactly those.
//!
//! An origin is compared whole, never by its end, and `*` and `null` cannot be configured. Credentials mode is never
//! allowed: callers are told by the `Authorization` header, not by cookies.

use std::fmt;
use std::str::FromStr;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use crate::routes::files::upload::METADATA_PREFIX;

/// An origin whose pages may call the API: `scheme://host` or `scheme://host:port`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

/// Why a text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin: it is `scheme://host` or `scheme://host:port` in lower case, as in `https://app.example.com`, without a path, and neither `*` nor `null`"
)]
pub struct CorsOriginError(String);

impl FromStr for CorsOrigin {
    type Err = CorsOriginError;

    fn from_str(text: &str) -> Result<Self, CorsOriginError> {
        let is_origin = text.split_once("://").is_some_and(|(scheme, authority)| {
            let (host, port) = match authority.rsplit_once(':') {
                // The colons of an IPv6 address stand in brackets.
                Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
                _ => (authority, None),
            };
            let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
            let is_host = !host.is_empty()
                && host.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte)
                });
            let is_port =
                port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
            is_scheme && is_host && is_port
        });
        match HeaderValue::from_str(text) {
            Ok(value) if is_origin => Ok(Self(value)),
            _ => Err(CorsOriginError(text.to_owned())),
        }
    }
}

impl CorsOrigin {
    /// Host, and port if one is named: what a request to it has in `Host`.
    pub(crate) fn authority(&self) -> &str {
        let origin = self.0.to_str().unwrap_or_default();
        origin.split_once("://").map_or("", |(_, authority)| authority)
    }
}

impl fmt::Display for CorsOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// The request's origin, if it is one of those configured.
pub(crate) fn allowed_origin(origins: &[CorsOrigin], headers: &HeaderMap) -> Option<CorsOrigin> {
    if origins.is_empty() {
        return None;
    }
    let mut given = headers.get_all(ORIGIN).iter();
    let (origin, another) = (given.next()?, given.next());
    origins
        .iter()
        .find(|allowed| allowed.0 == *origin && another.is_none())
        .cloned()
}

/// Whether a request comes from a page of the host that it is sent to.
pub(crate) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let authority = text(ORIGIN).and_then(|origin| origin.split_once("://"));
    authority.is_some_and(|(_, authority)| text(HOST) == Some(authority))
}

/// Whether a request asks what an origin may do rather than doing it.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The headers of requests that pages may send, beside a file's own metadata.
const ALLOWED_HEADERS: &str = "Accept, Authorization, Cache-Control, Content-Digest, Content-Disposition, Content-Encoding, \
                               Content-Language, Content-MD5, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, \
                               If-None-Match, If-Range, If-Unmodified-Since, Range, Tus-Resumable, Upload-Checksum, \
                               Upload-Concat, Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, \
                               X-Andiron-Session, X-CSRF-Token, X-Request-Id";
/// Headers of a file's own metadata that one preflight may ask for.
const METADATA_HEADERS_MAX: usize = 64;

/// The answer to a preflight of an allowed origin; [`add_headers`] completes it.
pub(crate) fn preflight_answer(asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            "GET, HEAD, POST, PUT, PATCH, DELETE",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let allowed = match metadata_headers(asked) {
        own if own.is_empty() => HeaderValue::from_static(ALLOWED_HEADERS),
        own => HeaderValue::try_from(format!("{ALLOWED_HEADERS}, {}", own.join(", ")))
            .unwrap_or(HeaderValue::from_static(ALLOWED_HEADERS)),
    };
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    response
}

/// The headers of a file's own metadata among those that a preflight asks for: there is no pattern that would allow all.
fn metadata_headers(asked: &HeaderMap) -> Vec<&str> {
    asked
        .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim_matches([' ', '\t']))
        .filter(|name| {
            let own = name.get(..METADATA_PREFIX.len());
            own.is_some_and(|own| own.eq_ignore_ascii_case(METADATA_PREFIX))
                && HeaderName::from_bytes(name.as_bytes()).is_ok()
        })
        .take(METADATA_HEADERS_MAX)
        .collect()
}

/// Lets the pages of an allowed origin read the answer; where sessions are in cookies, also with those.
pub(crate) fn add_headers(origin: Option<CorsOrigin>, with_cookies: bool, headers: &mut HeaderMap) {
    // Caches must not give one origin the answer of another, be it allowed or not.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(CorsOrigin(origin)) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if with_cookies {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "Accept-Ranges, Content-Disposition, Content-Location, Content-Range, ETag, Location, Repr-Digest, \
                 Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, \
                 Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset, \
                 WWW-Authenticate, X-Request-Id",
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_origins_can_be_configured() {
        for origin in [
            "https://app.example.com",
            "http://localhost:5173",
            "http://[::1]:80",
            "http://[::1]",
            "capacitor://localhost",
        ] {
            assert_eq!(origin.parse::<CorsOrigin>().unwrap().to_string(), origin);
        }
        for origin in [
            "*",
            "null",
            "",
            "https://",
            "https://*.example.com",
            "https://a.b/",
            "https://a.b/c",
            "HTTPS://a.b",
            "https://user@a.b",
            "https://a.b:x",
            "https://a.b:080",
            "https://a.b:70000",
            "a.b",
            "https://a.b?c",
            "https://a b",
        ] {
            assert!(origin.parse::<CorsOrigin>().is_err(), "{origin}");
        }
    }
}
