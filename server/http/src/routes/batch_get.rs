//! `POST /api/v1/batch-get`: several documents of one version.

use andiron_protocol::{BatchGetBody, ErrorCode};
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

/// Get several documents
///
/// All of one version, as no other writes could have come between. Refused as a whole if one of them may not be read.
#[utoipa::path(
    post,
    path = "/api/v1/batch-get",
    operation_id = "batchGet",
    tag = "Documents",
    request_body(content = schemas::BatchGetBody, example = json!({"paths": ["posts/p1", "users/alice"]})),
    responses((status = 200, description = "The documents", body = schemas::BatchGetAnswer))
)]
pub(crate) async fn batch_get(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    Parameters::read(parts.uri.query(), &[])?;
    let bytes_max = app.options.request_body_bytes_max;
    let body: BatchGetBody = read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    let found = app.engine.batch_get(&caller, &body.paths)?;
    let mut out = format!("{{\"version\":\"{}\",\"documents\":[", found.version).into_bytes();
    for (index, document) in found.documents.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match document {
            Some(document) => answer::write_stored(document, &mut out),
            None => out.extend_from_slice(b"null"),
        }
        if out.len() > app.options.answer_bytes_max {
            return Err(ApiError::new(
                ErrorCode::OutOfRange,
                format!(
                    "the documents are larger than {} bytes together; ask for fewer",
                    app.options.answer_bytes_max
                ),
            ));
        }
    }
    out.extend_from_slice(b"]}");
    Ok(answer::json(StatusCode::OK, out))
}
