//! Answers: JSON written once into one buffer, documents passed through as the text that they are stored as.

use andiron_engine::{DocumentRow, StoredDocument};
use andiron_protocol::{Version, write_document_json};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// Appends a stored document as it stands in answers.
pub(crate) fn write_stored(document: &StoredDocument, out: &mut Vec<u8>) {
    write_document_json(
        (document.path.collection_str(), document.path.id()),
        (document.created, document.version),
        &document.data,
        out,
    );
}

/// Appends a row as it stands in answers.
pub(crate) fn write_row(row: &DocumentRow<'_>, out: &mut Vec<u8>) {
    write_document_json(
        (row.collection, row.id),
        (row.created, row.version),
        row.data,
        out,
    );
}

/// An answer of JSON text.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer of JSON from a small value of our own.
pub(crate) fn json_of(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own answers are plain structs of strings and numbers.
    json(status, serde_json::to_vec(body).unwrap_or_default())
}

/// An answer that is one document, with its tag.
pub(crate) fn document(status: StatusCode, document: &StoredDocument) -> Response {
    let mut body = Vec::new();
    write_stored(document, &mut body);
    tagged(json(status, body), document.version)
}

/// The same answer with the entity tag of a document's version, to be kept by its receiver but asked about each time.
///
/// The tag is the version for every content coding. RFC 9110 would have one for each, but nothing here is read by byte
/// ranges, the only use that tells codings apart, and a client may build `If-Match` from the version in the body.
pub(crate) fn tagged(mut response: Response, version: Version) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(version.to_etag()) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
