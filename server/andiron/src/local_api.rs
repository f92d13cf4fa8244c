//! What the owner of a folder can ask of its server through the local socket beyond the REST interface: an
//! examination, a copy of the database, and where it listens. Private to this program, so it may change with every version.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;

use andiron_engine::Engine;
use andiron_files::Files;
use andiron_protocol::{ErrorCode, Problem};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::AndironError;

/// The path of the examination.
pub(crate) const EXAMINATION: &str = "/local/examination";
/// The path of the copy of the database.
pub(crate) const COPY: &str = "/local/copy";
/// The path of what the server tells about itself.
pub(crate) const INFO: &str = "/local/info";

/// What the handlers need.
#[derive(Clone)]
pub(crate) struct LocalApi {
    pub(crate) engine: Engine,
    pub(crate) files: Files,
    pub(crate) address: Option<SocketAddr>,
}

/// What an examination found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Examination {
    /// A sentence for each problem.
    pub(crate) problems: Vec<String>,
    /// Bytes that the data takes.
    pub(crate) size_bytes: u64,
    /// Changes that the log holds.
    pub(crate) changes: u64,
    /// Files whose bytes are those that were published.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) file_bytes: u64,
    /// Bytes that belong to no file, by their keys.
    pub(crate) orphans: u64,
}

/// Where a copy of the database is to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CopyOrder {
    /// A folder that is not there yet; an absolute path.
    pub(crate) to: PathBuf,
}

/// What was copied.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Copied {
    /// Bytes of the database.
    pub(crate) size_bytes: u64,
}

/// What a server tells about itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    pub(crate) version: String,
    pub(crate) process: u32,
    /// Where it listens, if others than the owner can reach it.
    pub(crate) address: Option<SocketAddr>,
}

/// The routes, to stand beside those of the REST interface.
pub(crate) fn router(api: LocalApi) -> Router {
    Router::new()
        .route(EXAMINATION, post(examine))
        .route(COPY, post(copy))
        .route(INFO, get(info))
        .with_state(api)
}

async fn examine(State(api): State<LocalApi>) -> Result<Json<Examination>, Refusal> {
    let files = api.files.clone();
    // It reads everything there is.
    let mut examination = blocking(move || -> Result<Examination, AndironError> {
        let store = api.engine.store();
        let failed = |error| AndironError::Engine(andiron_engine::EngineError::from(error));
        let mut problems = store.check().map_err(failed)?;
        problems.extend(api.engine.verify(&mut |_, _| ControlFlow::Continue(()))?);
        Ok(Examination {
            problems,
            size_bytes: store.size_bytes().map_err(failed)?,
            changes: api.engine.log()?.changes,
            files: 0,
            file_bytes: 0,
            orphans: 0,
        })
    })
    .await?;
    match files.examine().await {
        Ok(found) => {
            examination.problems.extend(found.problems);
            if found.problems_more > 0 {
                examination
                    .problems
                    .push(format!("and {} more files", found.problems_more));
            }
            examination.files = found.files;
            examination.file_bytes = found.bytes;
            examination.orphans = found.orphans;
        }
        Err(error) => examination
            .problems
            .push(format!("the files cannot be examined: {error}")),
    }
    Ok(Json(examination))
}

async fn copy(State(api): State<LocalApi>, Json(order): Json<CopyOrder>) -> Result<Json<Copied>, Refusal> {
    let copied = blocking(move || -> Result<Copied, AndironError> {
        let store = api.engine.store();
        let failed = |error| AndironError::Engine(andiron_engine::EngineError::from(error));
        store
            .backup(&order.to, &mut |_, _| ControlFlow::Continue(()))
            .map_err(failed)?;
        Ok(Copied {
            size_bytes: store.size_bytes().map_err(failed)?,
        })
    })
    .await?;
    Ok(Json(copied))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AndironError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Refusal(Problem::new(ErrorCode::Internal, error.to_string()))),
    }
}

async fn info(State(api): State<LocalApi>) -> Json<Info> {
    Json(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        address: api.address,
    })
}

/// A problem as the answer. The owner may see everything, so nothing is hidden.
struct Refusal(Problem);

impl From<AndironError> for Refusal {
    fn from(error: AndironError) -> Self {
        let code = match &error {
            AndironError::Engine(error) => error.code(),
            _ => ErrorCode::Internal,
        };
        Self(Problem::new(code, error.to_string()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
