//! `GET /api/v1/collections…`: which collections there are.

use andiron_engine::Caller;
use andiron_protocol::{CollectionPath, DocumentPath, InputError};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::{self, COLLECTIONS_PREFIX};

/// Collections in one page of all of them.
const PAGE_COLLECTIONS_MAX: usize = 1000;

/// List the root collections
///
/// Those that hold a document. With `all=true` the paths of every collection at any depth, in pages of 1,000.
#[utoipa::path(
    get,
    path = "/api/v1/collections",
    operation_id = "listRootCollections",
    tag = "Administration",
    params(
        ("all" = Option<bool>, Query, description = "Every collection, wherever it stands", nullable = false),
        ("cursor" = Option<String>, Query, description = "With `all=true`: the `cursor` of the page before", nullable = false),
    ),
    responses((status = 200, description = "The names", body = schemas::Collections))
)]
pub(crate) async fn list_root(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(request.uri().query(), &["all", "cursor"])?;
    if parameters.flag("all")? {
        list_all(&app, &caller, parameters.parsed("cursor")?)
    } else if parameters.get("cursor").is_some() {
        Err(InputError::new("`cursor` goes with `all=true`")
            .in_field("cursor")
            .into())
    } else {
        list(&app, &caller, None)
    }
}

/// List the collections under a document
///
/// The document itself need not exist.
#[utoipa::path(
    get,
    path = "/api/v1/collections/{*path}",
    operation_id = "listCollections",
    tag = "Administration",
    params(
        ("path" = String, Path, description = "The path of a document", example = "posts/p1"),
    ),
    responses((status = 200, description = "The names", body = schemas::Collections))
)]
pub(crate) async fn list_under(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let parent = resource_path::document(request.uri().path(), COLLECTIONS_PREFIX)?;
    Parameters::read(request.uri().query(), &[])?;
    list(&app, &caller, Some(&parent))
}

fn list(app: &AppRef, caller: &Caller, parent: Option<&DocumentPath>) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Collections {
        collections: Vec<String>,
    }
    let collections = app.engine.collection_names(caller, parent)?;
    Ok(answer::json_of(StatusCode::OK, &Collections { collections }))
}

fn list_all(app: &AppRef, caller: &Caller, after: Option<CollectionPath>) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Page {
        collections: Vec<CollectionPath>,
        cursor: Option<CollectionPath>,
    }
    let collections = app
        .engine
        .collections(caller, after.as_ref(), PAGE_COLLECTIONS_MAX)?;
    let is_last = collections.len() < PAGE_COLLECTIONS_MAX;
    let cursor = collections.last().filter(|_| !is_last).cloned();
    Ok(answer::json_of(StatusCode::OK, &Page { collections, cursor }))
}
