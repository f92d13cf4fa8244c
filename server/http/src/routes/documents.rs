//! `GET /api/v1/docs/…`: a document, or the documents of a collection.

use std::sync::Arc;

use andiron_engine::{Caller, StoredDocument};
use andiron_protocol::{
    DocumentPath, ErrorCode, FieldPath, Query, Source, Version, data_from_json, write_data_json,
};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::conditional::{Conditions, ReadVerdict};
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::{DOCS_PREFIX, ResourcePath, resource};
use crate::routes::query::{self, LIST_PARAMETERS};

/// Read a document or a collection
///
/// A path of an even number of segments names a document, `posts/p1`, and of an odd number a collection, `posts` or
/// `posts/p1/comments`.
///
/// A collection is listed, and with parameters queried. `filter` is an expression over the fields of a document:
/// `published == true && (rating >= 4 || "rust" in tags)`. There are `==` `!=` `<` `<=` `>` `>=`, `in` (of a list, or of
/// an array field), `exists(field)`, `field.startsWith("x")`, `field.hasAny([…])`, `field.hasAll([…])`,
/// `field.notIn([…])`, `&&`, `||` and `!`. `POST /api/v1/query` can do a little more.
/// With `Accept: application/x-ndjson` the documents stream, one a line, without the limits of a page.
///
/// ```sh
/// curl -G -H "Authorization: Bearer $KEY" http://127.0.0.1:8750/api/v1/docs/posts \
///   --data-urlencode 'filter=published == true && rating >= 4' -d orderBy=-rating -d limit=20
/// ```
#[utoipa::path(
    get,
    path = "/api/v1/docs/{*path}",
    operation_id = "readDocuments",
    tag = "Documents",
    params(
        ("path" = String, Path, description = "The path of a document or a collection, each segment percent-encoded", example = "posts/p1"),
        ("select" = Option<String>, Query, description = "The fields to answer with, separated by commas", example = "title,author.name", nullable = false),
        ("version" = Option<String>, Query, description = "Of a document: read it as it was at this version, within the history window", nullable = false),
        ("filter" = Option<String>, Query, description = "Of a collection: which documents, as an expression over their fields", nullable = false),
        ("orderBy" = Option<String>, Query, description = "Of a collection: fields separated by commas, `-` before one for descending", nullable = false),
        ("limit" = Option<u32>, Query, description = "Of a collection: how many documents, 100 by default. A page has at most 1,000", nullable = false),
        ("cursor" = Option<String>, Query, description = "Of a collection: the `cursor` of the page before", nullable = false),
        ("explain" = Option<bool>, Query, description = "Of a collection: adds `plan`: how the query was answered. For administrators", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "Of a document: versions in quotes, or `*`; 304 if it is at one of them", nullable = false),
        ("If-Match" = Option<String>, Header, description = "Of a document: 412 unless it is at one of these versions", nullable = false),
    ),
    responses(
        (
            status = 200,
            description = "The document, with its version as `ETag`; or a page of the collection",
            content((schemas::DocumentOrPage = "application/json"), (schemas::Document = "application/x-ndjson"))
        ),
        (status = 304, description = "The client has this version already"),
        (status = 404, description = "There is no such document", body = schemas::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The document is not at a version that `If-Match` names", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    match resource(request.uri().path(), DOCS_PREFIX)? {
        ResourcePath::Document(path) => get(&app, &caller, &path, request.uri().query(), request.headers()),
        ResourcePath::Collection(path) => {
            let parameters = Parameters::read(request.uri().query(), &LIST_PARAMETERS)?;
            let (query, explain) = query::from_parameters(Source::Collection(path), &parameters)?;
            query::answer(app, caller, query, explain, request.headers()).await
        }
    }
}

fn get(
    app: &AppRef,
    caller: &Caller,
    path: &DocumentPath,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(query, &["select", "version"])?;
    let select = parameters.list("select", str::parse::<FieldPath>)?;
    let conditions = Conditions::read(headers)?;
    let document = match parameters.parsed::<Version>("version")? {
        None => app.engine.get(caller, path)?,
        Some(version) => get_at(app, caller, path, version)?,
    };
    let Some(document) = document else {
        return Err(ApiError::not_found(format!("`{path}` does not exist")).about(path));
    };
    match conditions.judge_read(document.version) {
        ReadVerdict::Answer => {}
        ReadVerdict::NotModified => {
            let mut response = answer::tagged(answer::empty(StatusCode::NOT_MODIFIED), document.version);
            // What the 200 would say about its codings (RFC 9110, section 15.4.5).
            let vary = HeaderValue::from_name(ACCEPT_ENCODING);
            response.headers_mut().insert(VARY, vary);
            return Ok(response);
        }
        ReadVerdict::Failed => {
            return Err(ApiError::precondition_failed(format!(
                "`{path}` is at none of the versions that `If-Match` names"
            ))
            .about(path));
        }
    }
    match select {
        None => Ok(answer::document(StatusCode::OK, &document)),
        Some(select) => Ok(answer::document(StatusCode::OK, &project(document, select)?)),
    }
}

fn get_at(
    app: &AppRef,
    caller: &Caller,
    path: &DocumentPath,
    version: Version,
) -> Result<Option<StoredDocument>, ApiError> {
    // First the read, which asks whether the caller may know anything at all.
    let document = app.engine.get_at(caller, path, version)?;
    let newest = app.engine.version()?;
    if version > newest {
        return Err(ApiError::new(
            ErrorCode::OutOfRange,
            format!("the version {version} is yet to come: the newest is {newest}"),
        )
        .in_field("version"));
    }
    Ok(document)
}

fn project(document: StoredDocument, select: Vec<FieldPath>) -> Result<StoredDocument, ApiError> {
    let data = data_from_json(document.data.as_bytes()).map_err(|error| {
        ApiError::internal(format!(
            "the data of `{}` is not value JSON: {error}",
            document.path
        ))
    })?;
    let query = Query {
        select: Some(select),
        ..Query::all(Source::Collection(document.path.collection()))
    };
    query.check()?;
    let mut json = Vec::new();
    write_data_json(&query.project(data), &mut json);
    let data = String::from_utf8(json).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(StoredDocument {
        data: Arc::from(data),
        ..document
    })
}
