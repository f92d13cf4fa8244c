//! `/api/v1/admin/indexes` and `…/info`: how the server does.

use andiron_engine::{IndexInfo, Permission};
use andiron_protocol::Version;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::admitted;
use crate::answer;
use crate::app::AppRef;
use crate::caller::CallerOf;
use crate::openapi::schemas;
use crate::problem::ApiError;

/// List the indexes
///
/// Indexes come and go by themselves, unless the project fixes them in an `andiron.indexes.json`.
#[utoipa::path(
    get,
    path = "/api/v1/admin/indexes",
    operation_id = "listIndexes",
    tag = "Administration",
    responses((status = 200, description = "The indexes and how they fare", body = schemas::Indexes))
)]
pub(crate) async fn list_indexes(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Indexes {
        indexes: Vec<IndexInfo>,
    }
    admitted(&app, &caller, Permission::ServerRead, request)?;
    let indexes = app.engine.indexes(&caller)?;
    Ok(answer::json_of(StatusCode::OK, &Indexes { indexes }))
}

/// See how the server does
#[utoipa::path(
    get,
    path = "/api/v1/admin/info",
    operation_id = "serverInfo",
    tag = "Administration",
    responses((status = 200, description = "Figures", body = schemas::Info))
)]
pub(crate) async fn info(
    State(app): State<AppRef>,
    CallerOf(caller): CallerOf,
    request: Request,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Info<'i> {
        server_version: &'i str,
        version: Version,
        data_bytes: u64,
        log: Log,
    }
    #[derive(Serialize)]
    struct Log {
        start: Version,
        changes: u64,
        bytes: u64,
    }
    admitted(&app, &caller, Permission::ServerRead, request)?;
    let log = app.engine.log()?;
    let data_bytes = app
        .engine
        .store()
        .size_bytes()
        .map_err(andiron_engine::EngineError::from)?;
    let info = Info {
        server_version: &app.info.version,
        version: app.engine.version()?,
        data_bytes,
        log: Log {
            start: log.start,
            changes: log.changes,
            bytes: log.bytes,
        },
    };
    Ok(answer::json_of(StatusCode::OK, &info))
}
