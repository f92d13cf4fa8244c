//! `/api/v1/openapi.json` and `/api/v1/docs`: the reference, for programs and for people.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;

/// Read this description as OpenAPI
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "openapi",
    tag = "Reference",
    security(()),
    responses((status = 200, description = "This document", content_type = "application/json", body = serde_json::Value))
)]
pub(crate) async fn openapi(State(app): State<AppRef>) -> Response {
    let mut response = answer::json(StatusCode::OK, app.reference().json.clone());
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Read this description as a page
#[utoipa::path(
    get,
    path = "/api/v1/docs",
    operation_id = "reference",
    tag = "Reference",
    security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(crate) async fn page(State(app): State<AppRef>) -> Response {
    let page = &app.reference().page;
    let mut response = answer::json(StatusCode::OK, page.html.clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, page.policy.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
