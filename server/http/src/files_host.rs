//! A host of their own for what people have uploaded, if the settings name one: there files are read and nothing else is
//! answered, and nowhere else are they read. Whatever may run in a file then runs in an origin in which there is nothing.

use andiron_protocol::ErrorCode;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{Method, StatusCode};

use crate::HttpOptions;
use crate::problem::ApiError;

/// The route of files.
const FILE_ROUTE: &str = "/api/v1/files/{bucket}/{name}";

/// Says whether a request is at the right host.
pub(crate) fn check(options: &HttpOptions, route: &str, request: &Request) -> Result<(), ApiError> {
    let Some(origin) = &options.files_origin else {
        return Ok(());
    };
    // In HTTP/2 the host is part of the URI.
    let host = request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| {
            let host = request.headers().get(HOST)?;
            host.to_str().ok()
        });
    let is_files_host = host.is_some_and(|host| host.eq_ignore_ascii_case(origin.authority()));
    let reads_a_file = route == FILE_ROUTE
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !tells_metadata(request.uri().query());
    match (is_files_host, reads_a_file) {
        (true, false) => Err(ApiError::not_found("only files are read at this host")),
        (false, true) => Err(ApiError::new(
            ErrorCode::FailedPrecondition,
            format!("files are read at `{origin}`"),
        )
        .with_status(StatusCode::MISDIRECTED_REQUEST)),
        _ => Ok(()),
    }
}

fn tells_metadata(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|parameter| parameter == "metadata=true"))
}
