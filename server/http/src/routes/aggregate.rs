//! `POST /api/v1/aggregate`: figures over all documents of a query.

use andiron_engine::QueryOptions;
use andiron_protocol::{write_json_string, write_value_json};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;
use crate::body::read_typed;
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Compute figures over a query
///
/// Counts, sums, means and extremes over all documents of a query, however many.
#[utoipa::path(
    post,
    path = "/api/v1/aggregate",
    operation_id = "aggregate",
    tag = "Queries",
    params(
        ("explain" = Option<bool>, Query, description = "Adds `plan`: how the query was answered. For administrators", nullable = false),
    ),
    request_body(
        content = schemas::AggregateBody,
        example = json!({
            "query": {"from": "posts", "where": ["published", "==", true]},
            "aggregates": {"posts": ["count"], "mean": ["avg", "rating"]}
        })
    ),
    responses((status = 200, description = "The figures", body = schemas::Aggregates))
)]
pub(crate) async fn aggregate(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let explain = Parameters::read(parts.uri.query(), &["explain"])?.flag("explain")?;
    let bytes_max = app.options.request_body_bytes_max;
    let body = read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let options = QueryOptions {
        explain,
        ..QueryOptions::default()
    };
    let aggregated = app.engine.aggregate(&caller, body, options).await?;
    let mut out = format!("{{\"version\":\"{}\",\"aggregates\":{{", aggregated.version).into_bytes();
    for (index, (name, value)) in aggregated.aggregates.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json_string(name, &mut out);
        out.push(b':');
        write_value_json(value, &mut out);
    }
    out.push(b'}');
    if let Some(plan) = &aggregated.plan {
        out.extend_from_slice(b",\"plan\":");
        serde_json::to_writer(&mut out, plan).map_err(|error| ApiError::internal(error.to_string()))?;
    }
    out.push(b'}');
    Ok(answer::json(StatusCode::OK, out))
}
