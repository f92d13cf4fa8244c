//! `/healthz`, `/readyz` and `/metrics`: what watches the server asks.

use andiron_engine::{Access, authorize};
use andiron_protocol::ErrorCode;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::options::MetricsAccess;
use crate::problem::ApiError;

/// Whether the process lives
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn healthz() -> Response {
    answer::json(StatusCode::OK, r#"{"status":"alive"}"#)
}

/// Whether requests can be answered
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn readyz(State(app): State<AppRef>) -> Result<Response, ApiError> {
    match app.engine.version() {
        Ok(_) => Ok(answer::json(StatusCode::OK, r#"{"status":"ready"}"#)),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Err(ApiError::new(ErrorCode::Unavailable, "the data cannot be read").retry_after(1))
        }
    }
}

/// Figures for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn metrics(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
) -> Result<Response, ApiError> {
    if app.options.metrics_access == MetricsAccess::Admin {
        authorize(&caller, Access::Administer)?;
    }
    let text = app
        .metrics
        .encode()
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let mut response = answer::json(StatusCode::OK, text);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    Ok(response)
}
