//! `POST`, `PUT`, `PATCH` and `DELETE /api/v1/docs/…`: writes to one document.

use andiron_engine::{Caller, Committed, EngineError, WriteOutcome};
use andiron_protocol::{
    ApplyError, CommitBody, DocumentPath, ErrorCode, Precondition, Write, WriteData, WriteKind,
};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;
use crate::app::AppRef;
use crate::body::read_json;
use crate::caller::CallerOf;
use crate::conditional::{Conditions, WriteGuard};
use crate::idempotency_key;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::{self, DOCS_PREFIX};

/// How often a write whose conditions had to be examined is tried before it is called a conflict.
const EXAMINED_ATTEMPTS_MAX: usize = 8;

/// Create a document
///
/// Its id is generated: a lowercase ULID, so that ids order by the time of their making. To choose the id, use `PUT`
/// with
/// `If-None-Match: *`.
#[utoipa::path(
    post,
    path = "/api/v1/docs/{*path}",
    operation_id = "createDocument",
    tag = "Documents",
    params(
        ("path" = String, Path, description = "The path of a collection", example = "posts"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 printable characters. For 24 hours a retry with the same key is answered with the first result", nullable = false),
    ),
    request_body(content = schemas::WriteData, example = json!({"title": "Hello", "tags": ["rust"], "created": {"$now": true}})),
    responses(
        (status = 201, description = "The new document, its URL in `Location`", body = schemas::Document),
    )
)]
pub(crate) async fn create(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let collection = resource_path::collection(parts.uri.path(), DOCS_PREFIX)?;
    Parameters::read(parts.uri.query(), &[])?;
    if !Conditions::read(&parts.headers)?.is_empty() {
        return Err(ApiError::invalid(
            "a document with a generated id never exists before, so `If-Match` and `If-None-Match` have no meaning here",
        ));
    }
    let key = idempotency_key(&parts.headers)?;
    let data = read_data(&app, &parts.headers, body)
        .await?
        .without_deletes("create")?;
    let committed = app.engine.create(&caller, &collection, data, key).await?;
    let [
        WriteOutcome {
            document: Some(document),
            ..
        },
    ] = committed.writes.as_slice()
    else {
        return Err(ApiError::internal(
            "a document that was created did not come back",
        ));
    };
    let mut response = answer::document(StatusCode::CREATED, document);
    if let Ok(url) = HeaderValue::try_from(resource_path::document_url(&document.path)) {
        response.headers_mut().insert(LOCATION, url);
    }
    Ok(response)
}

/// Set a document
///
/// Creates the document or replaces it whole.
#[utoipa::path(
    put,
    path = "/api/v1/docs/{*path}",
    operation_id = "setDocument",
    tag = "Documents",
    params(
        ("path" = String, Path, description = "The path of a document", example = "posts/p1"),
        ("If-Match" = Option<String>, Header, description = "Versions in quotes, or `*`: write only if the document is at one of them, or exists", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "`*`: create only, and answer 409 `already-exists` if the document exists. With versions: write unless it is at one of them", nullable = false),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 printable characters. For 24 hours a retry with the same key is answered with the first result", nullable = false),
    ),
    request_body(content = schemas::WriteData, example = json!({"title": "Hello", "rating": 4})),
    responses(
        (status = 200, description = "The document was replaced", body = schemas::Document),
        (status = 201, description = "The document was created", body = schemas::Document),
        (status = 204, description = "The document is written, but the caller may not read it; its version is the `ETag`"),
        (status = 409, description = "The document exists, and `If-None-Match: *` was given", body = schemas::Problem, content_type = "application/problem+json"),
        (status = 412, description = "The document is not as `If-Match` or `If-None-Match` demands", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (target, body) = Target::of(request)?;
    let data = read_data(&app, &target.headers, body)
        .await?
        .without_deletes("set")?;
    let kind = if target.conditions.demands_absence() {
        // A create says `already-exists`, which tells more than a failed precondition.
        WriteKind::Create(data)
    } else {
        WriteKind::Set(data)
    };
    Ok(document_answer(&target.write(&app, &caller, kind).await?))
}

/// Merge into a document
///
/// Sets the given fields, maps merged deeply, and leaves the rest. Creates the document if it is missing, unless
/// `If-Match: *` is given.
#[utoipa::path(
    patch,
    path = "/api/v1/docs/{*path}",
    operation_id = "mergeDocument",
    tag = "Documents",
    params(
        ("path" = String, Path, description = "The path of a document", example = "posts/p1"),
        ("If-Match" = Option<String>, Header, description = "Versions in quotes, or `*`: write only if the document is at one of them, or exists", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "Versions in quotes: write unless the document is at one of them; `*`: only if it does not exist", nullable = false),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 printable characters. For 24 hours a retry with the same key is answered with the first result", nullable = false),
    ),
    request_body(content = schemas::WriteData, example = json!({"author": {"name": "Ada"}, "views": {"$inc": 1}, "draft": {"$delete": true}})),
    responses(
        (status = 200, description = "The document as it is now", body = schemas::Document),
        (status = 201, description = "The document was created", body = schemas::Document),
        (status = 204, description = "The document is written, but the caller may not read it; its version is the `ETag`"),
        (status = 412, description = "The document is not as `If-Match` or `If-None-Match` demands", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn merge(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (target, body) = Target::of(request)?;
    let data = read_data(&app, &target.headers, body).await?;
    Ok(document_answer(
        &target.write(&app, &caller, WriteKind::Merge(data)).await?,
    ))
}

/// Delete a document
///
/// Collections under it stay.
#[utoipa::path(
    delete,
    path = "/api/v1/docs/{*path}",
    operation_id = "deleteDocument",
    tag = "Documents",
    params(
        ("path" = String, Path, description = "The path of a document", example = "posts/p1"),
        ("If-Match" = Option<String>, Header, description = "Versions in quotes, or `*`: write only if the document is at one of them, or exists", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "Versions in quotes: delete unless the document is at one of them", nullable = false),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 printable characters. For 24 hours a retry with the same key is answered with the first result", nullable = false),
    ),
    responses(
        (status = 204, description = "The document is gone, or was not there"),
        (status = 412, description = "The document is not as `If-Match` or `If-None-Match` demands", body = schemas::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let (target, _) = Target::of(request)?;
    target.write(&app, &caller, WriteKind::Delete).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

async fn read_data(app: &AppRef, headers: &HeaderMap, body: Body) -> Result<WriteData, ApiError> {
    let json = read_json(headers, body, app.options.document_body_bytes_max, &app.options).await?;
    Ok(WriteData::from_json(&json)?)
}

/// The document; or its version alone if the caller may write it and not read it, which also must not show whether it
/// was there before.
fn document_answer(committed: &Committed) -> Response {
    match committed.writes.as_slice() {
        [
            WriteOutcome {
                document: Some(document),
                existed,
                ..
            },
        ] => {
            let status = if *existed {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            answer::document(status, document)
        }
        _ => answer::tagged(answer::empty(StatusCode::NO_CONTENT), committed.version),
    }
}

/// The document that a request is to change, and what it says about that beside the body.
struct Target {
    path: DocumentPath,
    headers: HeaderMap,
    conditions: Conditions,
}

impl Target {
    fn of(request: Request) -> Result<(Self, Body), ApiError> {
        let (parts, body) = request.into_parts();
        Parameters::read(parts.uri.query(), &[])?;
        let target = Self {
            path: resource_path::document(parts.uri.path(), DOCS_PREFIX)?,
            conditions: Conditions::read(&parts.headers)?,
            headers: parts.headers,
        };
        Ok((target, body))
    }

    async fn write(&self, app: &AppRef, caller: &Caller, kind: WriteKind) -> Result<Committed, ApiError> {
        let key = idempotency_key(&self.headers)?;
        match self.conditions.write_guard() {
            WriteGuard::Precondition(precondition) => {
                let body = self.body(kind, precondition);
                app.engine.commit(caller, body, key).await.map_err(|error| {
                    let error = ApiError::from(error);
                    if self.conditions.is_empty() {
                        error
                    } else {
                        error.of_http_precondition()
                    }
                })
            }
            WriteGuard::Examine if key.is_some() => Err(ApiError::invalid(
                "with an `Idempotency-Key`, the condition is `If-Match` with one version or `*`, or `If-None-Match: *`: \
                 a retry could not tell its own first success from somebody else's write",
            )),
            WriteGuard::Examine => self.examine_and_write(app, caller, kind).await,
        }
    }

    /// Looks whether the conditions hold, and writes only if the document is still what was looked at.
    async fn examine_and_write(
        &self,
        app: &AppRef,
        caller: &Caller,
        kind: WriteKind,
    ) -> Result<Committed, ApiError> {
        for _ in 0..EXAMINED_ATTEMPTS_MAX {
            let current = app
                .engine
                .get(caller, &self.path)?
                .map(|document| document.version);
            if !self.conditions.allow_write(current) {
                return Err(ApiError::precondition_failed(format!(
                    "`{}` is not at a version that `If-Match` and `If-None-Match` allow",
                    self.path
                ))
                .about(&self.path));
            }
            let seen = current.map_or(Precondition::Exists(false), Precondition::Version);
            match app
                .engine
                .commit(caller, self.body(kind.clone(), seen), None)
                .await
            {
                Err(EngineError::Apply {
                    reason: ApplyError::Missing | ApplyError::Present | ApplyError::OtherVersion,
                    ..
                }) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(ApiError::new(
            ErrorCode::Aborted,
            format!(
                "`{}` is changing too often for its conditions to be examined; retry",
                self.path
            ),
        )
        .about(&self.path))
    }

    fn body(&self, kind: WriteKind, precondition: Precondition) -> CommitBody {
        CommitBody {
            writes: vec![Write {
                path: self.path.clone(),
                // A create demands absence by itself.
                precondition: if matches!(kind, WriteKind::Create(_)) {
                    Precondition::None
                } else {
                    precondition
                },
                kind,
            }],
            ..CommitBody::default()
        }
    }
}
