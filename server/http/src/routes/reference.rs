//! `/api/v1/openapi.json` and `/api/v1/docs`: the reference, for programs and for people.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;

/// The OpenAPI document
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn openapi(State(app): State<AppRef>) -> Response {
    let mut response = answer::json(StatusCode::OK, app.reference().json.clone());
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The reference as a page
#[utoipa::path(
    get,
    path = "/api/v1/docs",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn page(State(app): State<AppRef>) -> Response {
    let mut response = answer::json(StatusCode::OK, app.reference().page.clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(crate::openapi::PAGE_POLICY),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
