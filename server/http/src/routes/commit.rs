//! `POST /api/v1/commit`: several writes, all or nothing.

use andiron_engine::Committed;
use andiron_protocol::{CommitBody, write_json_string, write_value_json};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;
use crate::body::read_typed;
use crate::caller::CallerOf;
use crate::idempotency_key;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;

/// Commit several writes
///
/// All of them happen at one version, or none. A transaction is: read, compute, commit with what was read in `reads`
/// and
/// `queries`, and again from the reading on if the answer is `aborted`. Such commits are serializable: they behave as if
/// nothing else ran meanwhile.
#[utoipa::path(
    post,
    path = "/api/v1/commit",
    operation_id = "commit",
    tag = "Commits",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 printable characters. For 24 hours a retry with the same key is answered with the first result", nullable = false),
    ),
    request_body(
        content = schemas::CommitBody,
        example = json!({
            "reads": [{"path": "stock/42", "version": null}],
            "writes": [
                {"create": "orders/o1", "data": {"item": 42, "at": {"$now": true}}},
                {"merge": "totals/today", "data": {"orders": {"$inc": 1}}},
                {"delete": "carts/alice", "if": {"exists": false}}
            ]
        })
    ),
    responses(
        (status = 200, description = "All of it happened, at one version, and is on the disk", body = schemas::Committed),
        (status = 404, description = "An `update` met no document", body = schemas::Problem, content_type = "application/problem+json"),
        (status = 409, description = "`already-exists`: a `create` met a document; `aborted`: something that was read has changed", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn commit(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    let key = idempotency_key(&parts.headers)?;
    let bytes_max = app.options.commit_body_bytes_max;
    let body: CommitBody = read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let committed = app.engine.commit(&caller, body, key).await?;
    Ok(answer::json(StatusCode::OK, committed_json(&committed)))
}

fn committed_json(committed: &Committed) -> Vec<u8> {
    let version = committed.version;
    let mut out = format!("{{\"version\":\"{version}\",\"writes\":[").into_bytes();
    for (index, write) in committed.writes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"path\":");
        write_json_string(write.path.as_str(), &mut out);
        out.extend_from_slice(format!(",\"version\":\"{version}\",\"results\":{{").as_bytes());
        for (index, (field, value)) in write.results.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_json_string(&field.to_string(), &mut out);
            out.push(b':');
            write_value_json(value, &mut out);
        }
        out.extend_from_slice(b"}}");
    }
    out.extend_from_slice(b"]}");
    out
}
