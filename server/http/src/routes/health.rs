//! `/healthz`, `/readyz` and `/metrics`: what watches the server asks.

use andiron_engine::{Permission, authorize_administration};
use andiron_protocol::ErrorCode;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::options::MetricsAccess;
use crate::problem::ApiError;

/// Ask whether the process lives
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "Health",
    security(()),
    responses((status = 200, description = "It does", body = schemas::Health))
)]
pub(crate) async fn healthz() -> Response {
    answer::json(StatusCode::OK, r#"{"status":"alive"}"#)
}

/// Ask whether requests can be answered
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "Health",
    security(()),
    responses(
        (status = 200, description = "They can", body = schemas::Health),
        (status = 503, description = "The data cannot be read, the storage of files cannot be reached, or the server is shutting down", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(app): State<AppRef>) -> Result<Response, ApiError> {
    let unavailable = |detail| Err(ApiError::new(ErrorCode::Unavailable, detail).retry_after(1));
    if !app.engine.is_open() {
        return unavailable("the server is shutting down");
    }
    if let Err(error) = app.engine.version() {
        tracing::warn!(%error, "not ready");
        return unavailable("the data cannot be read");
    }
    if let Err(error) = app.files.check_place().await {
        tracing::warn!(%error, "not ready");
        return unavailable("the storage of files cannot be reached");
    }
    Ok(answer::json(StatusCode::OK, r#"{"status":"ready"}"#))
}

/// Read the figures for Prometheus
///
/// For administrators, unless the server is configured to show them to everyone: give the scraper a service key with the scope `server:read`.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "Health",
    responses((status = 200, description = "Figures in the OpenMetrics text format", body = String, content_type = "application/openmetrics-text"))
)]
pub(crate) async fn metrics(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
) -> Result<Response, ApiError> {
    if app.options.metrics_access == MetricsAccess::Admin {
        authorize_administration(&caller, Permission::ServerRead)?;
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
