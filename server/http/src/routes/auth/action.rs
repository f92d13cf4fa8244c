//! `action`: the page that links of mails lead to, unless the app has one of its own, and the link of a first start.
//!
//! The code stands behind `#` and so comes to no server; the page sends it when somebody presses the button. Looking at
//! the page, which mail programs do on their own, uses nothing up.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::answer;

const STYLE: &str = include_str!("action.css");
const SCRIPT: &str = include_str!("action.js");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// Follow the link of a mail
#[utoipa::path(
    get,
    path = "/api/v1/auth/action",
    operation_id = "mailAction",
    tag = "Accounts",
    security(()),
    responses((status = 200, description = "A page that asks before it does what the mail is about", body = String, content_type = "text/html"))
)]
pub(crate) async fn action() -> Response {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Confirm</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<main id=\"main\"><p>This page needs JavaScript.</p></main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    let mut response = answer::json(StatusCode::OK, page);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
