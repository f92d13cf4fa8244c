//! `GET /api/v1/collections…`: which collections there are.

use andiron_engine::Caller;
use andiron_protocol::DocumentPath;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::parameters::Parameters;
use crate::problem::ApiError;
use crate::resource_path::{self, COLLECTIONS_PREFIX};

/// List the root collections
#[utoipa::path(
    get,
    path = "/api/v1/collections",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn list_root(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    list(&app, &caller, &request, None)
}

/// List the collections under a document
#[utoipa::path(
    get,
    path = "/api/v1/collections/{*path}",
    responses((status = 200, description = "ok"))
)]
pub(crate) async fn list_under(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    let parent = resource_path::document(request.uri().path(), COLLECTIONS_PREFIX)?;
    list(&app, &caller, &request, Some(&parent))
}

fn list(
    app: &AppRef,
    caller: &Caller,
    request: &Request,
    parent: Option<&DocumentPath>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Collections {
        collections: Vec<String>,
    }
    Parameters::read(request.uri().query(), &[])?;
    let collections = app.engine.collection_names(caller, parent)?;
    Ok(answer::json_of(StatusCode::OK, &Collections { collections }))
}
