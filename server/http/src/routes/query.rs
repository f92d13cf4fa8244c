//! `POST /api/v1/query`, and the answering of every query, wherever it came from.

use std::ops::ControlFlow;

use andiron_engine::{Caller, DocumentRow, DocumentSink, QueryEnd, QueryOptions};
use andiron_protocol::{
    Direction, ErrorCode, FieldPath, FieldRef, Filter, InputError, OrderBy, Query, Source,
};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use crate::answer::write_row;
use crate::app::AppRef;
use crate::body::read_typed;
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::{answer, ndjson};

/// The parameters of a query in a URL.
pub(crate) const LIST_PARAMETERS: [&str; 6] = ["filter", "orderBy", "limit", "cursor", "select", "explain"];

/// Room before the first document for what is known only after the last: the version.
const HEAD_BYTES: usize = r#"{"version":"1234567890123456789","documents":["#.len();
/// Bytes that a page's buffer begins with.
const PAGE_BYTES: usize = 8 * 1024;

/// Run a query
///
/// To go on behind a page, send the same query with the page's `cursor`. Cursors are stable under concurrent writes:
/// nothing is skipped or repeated.
///
/// With `Accept: application/x-ndjson` the documents stream, one a line, without the limits of a page.
#[utoipa::path(
    post,
    path = "/api/v1/query",
    operation_id = "runQuery",
    tag = "Queries",
    params(
        ("explain" = Option<bool>, Query, description = "Adds `plan`: how the query was answered. For administrators", nullable = false),
    ),
    request_body(
        content = schemas::Query,
        example = json!({
            "from": "posts",
            "where": ["and", ["published", "==", true], ["rating", ">=", 4]],
            "orderBy": [["rating", "desc"]],
            "limit": 20,
            "select": ["title", "rating"]
        })
    ),
    responses(
        (status = 200, description = "A page, or a stream", content((schemas::Page = "application/json"), (schemas::Document = "application/x-ndjson"))),
        (status = 429, description = "The query reads more than one query may", body = schemas::Problem, content_type = "application/problem+json"),
        (status = 504, description = "The query takes longer than one query may", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn query(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let explain = Parameters::read(parts.uri.query(), &["explain"])?.flag("explain")?;
    let bytes_max = app.options.request_body_bytes_max;
    let query = read_typed(&parts.headers, body, bytes_max, &app.options).await?;
    answer(app, caller, query, explain, &parts.headers).await
}

/// Reads a query from the parameters of a URL, and whether it is to be explained.
pub(crate) fn from_parameters(
    from: Source,
    parameters: &Parameters<'_>,
) -> Result<(Query, bool), InputError> {
    Ok((read_parameters(from, parameters)?, parameters.flag("explain")?))
}

/// Reads a query from the parameters of a URL.
pub(crate) fn read_parameters(from: Source, parameters: &Parameters<'_>) -> Result<Query, InputError> {
    let mut query = Query::all(from);
    query.filter = parameters
        .get("filter")
        .map(|expression| Filter::from_expression(expression).map_err(|error| error.in_field("filter")))
        .transpose()?;
    query.order_by = parameters.list("orderBy", read_order)?.unwrap_or_default();
    query.limit = parameters
        .get("limit")
        .map(|limit| {
            limit
                .parse()
                .map_err(|_| InputError::new("`limit` is a whole number").in_field("limit"))
        })
        .transpose()?;
    query.cursor = parameters.get("cursor").map(ToOwned::to_owned);
    query.select = parameters.list("select", str::parse::<FieldPath>)?;
    query.check()?;
    Ok(query)
}

fn read_order(text: &str) -> Result<OrderBy, InputError> {
    let (field, direction) = match text.strip_prefix('-') {
        Some(field) => (field, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    Ok(OrderBy {
        field: field.parse::<FieldRef>()?,
        direction,
    })
}

/// Answers a query: with a page, or with a stream if that is what the client accepts.
pub(crate) async fn answer(
    app: AppRef,
    caller: Caller,
    query: Query,
    explain: bool,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    if ndjson::is_accepted(headers) {
        if explain {
            return Err(ApiError::invalid("a stream is not explained; ask for a page").in_field("explain"));
        }
        return ndjson::stream(app, caller, query).await;
    }
    let options = QueryOptions {
        explain,
        ..QueryOptions::default()
    };
    let page = Page::new(app.options.answer_bytes_max);
    let (page, end) = app.engine.query(&caller, query, options, page).await?;
    Ok(answer::json(StatusCode::OK, page.finish(&end)?))
}

/// Collects the documents of a page as JSON.
struct Page {
    buffer: Vec<u8>,
    bytes_max: usize,
    is_full: bool,
}

impl Page {
    fn new(bytes_max: usize) -> Self {
        let mut buffer = Vec::with_capacity(PAGE_BYTES);
        buffer.resize(HEAD_BYTES, b' ');
        Self {
            buffer,
            bytes_max,
            is_full: false,
        }
    }

    /// The whole answer.
    fn finish(self, end: &QueryEnd) -> Result<Bytes, ApiError> {
        // A page cut short is fine as long as the client can go on behind it.
        if self.is_full && end.cursor.is_none() {
            return Err(ApiError::new(
                ErrorCode::OutOfRange,
                format!(
                    "the page is larger than {} bytes; ask for fewer documents with `limit`, for fewer fields with `select`, or for a stream with `Accept: {}`",
                    self.bytes_max,
                    ndjson::NDJSON
                ),
            ));
        }
        let mut buffer = self.buffer;
        buffer.extend_from_slice(b"],\"cursor\":");
        match &end.cursor {
            Some(cursor) => andiron_protocol::write_json_string(cursor, &mut buffer),
            None => buffer.extend_from_slice(b"null"),
        }
        if let Some(plan) = &end.plan {
            buffer.extend_from_slice(b",\"plan\":");
            serde_json::to_writer(&mut buffer, plan)
                .map_err(|error| ApiError::internal(error.to_string()))?;
        }
        buffer.push(b'}');
        // The version is known only now; it goes right before the documents, into the room left for it.
        let head = format!("{{\"version\":\"{}\",\"documents\":[", end.version);
        let start = HEAD_BYTES.saturating_sub(head.len());
        buffer[start..HEAD_BYTES].copy_from_slice(head.as_bytes());
        Ok(Bytes::from(buffer).slice(start..))
    }
}

impl DocumentSink for Page {
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()> {
        if self.buffer.len() > HEAD_BYTES {
            self.buffer.push(b',');
        }
        write_row(&document, &mut self.buffer);
        if self.buffer.len() > self.bytes_max {
            self.is_full = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
