//! `/api/v1/files/…`: files by their names.
//!
//! A handler reads names, conditions and headers here and asks `andiron-files`, which asks the rules. What a browser may do
//! with what it gets is decided in `serving`.

pub(crate) mod action;
pub(crate) mod buckets;
pub(crate) mod change;
pub(crate) mod form;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
pub(crate) mod list;
mod range;
pub(crate) mod read;
mod serving;
pub(crate) mod upload;

use andiron_files::{FileName, Guard, StoredFile};
use andiron_protocol::InputError;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::answer;
use crate::conditional::Conditions;
use crate::problem::ApiError;
use crate::resource_path::{decode_segments, encode_segments};

/// What stands before a bucket's name in a URL.
const FILES_PREFIX: &str = "/api/v1/files/";

/// The file that a URL names.
fn file_name(url_path: &str) -> Result<FileName, InputError> {
    let path = decode_segments(url_path.strip_prefix(FILES_PREFIX).unwrap_or_default())?;
    let (bucket, name) = path
        .split_once('/')
        .ok_or_else(|| InputError::new("the URL names a bucket and no file"))?;
    FileName::new(bucket.parse()?, name)
}

/// The URL path of a file.
pub(super) fn file_url(name: &FileName) -> String {
    let path = format!("{}/{}", name.bucket(), name.name());
    format!("{FILES_PREFIX}{}", encode_segments(&path))
}

/// What a request's conditions demand of the file that is there.
pub(super) fn guard(headers: &HeaderMap) -> Result<Guard, InputError> {
    let conditions = Conditions::read(headers)?;
    if conditions.is_empty() {
        return Ok(Guard::none());
    }
    Ok(Guard::new(move |version| conditions.allow_write(version)))
}

/// A file's metadata as the API tells them, by the names that rules have for them.
fn metadata_json(file: &StoredFile) -> Value {
    let record = &file.record;
    let settings = &record.settings;
    let metadata: serde_json::Map<_, _> = settings
        .metadata
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let mut json = json!({
        "bucket": record.name.bucket().as_str(),
        "name": record.name.name(),
        "version": file.version.to_string(),
        "generation": record.generation.to_string(),
        "metageneration": record.metageneration.to_string(),
        "size": record.size,
        "contentType": record.content_type.as_str(),
        "timeCreated": record.time_created.to_string(),
        "updated": record.updated.to_string(),
        "md5Hash": STANDARD.encode(record.md5),
        "sha256": STANDARD.encode(record.sha256),
        "crc32c": STANDARD.encode(record.crc32c.to_be_bytes()),
        "metadata": metadata,
    });
    for (field, value) in [
        ("cacheControl", &settings.cache_control),
        ("contentDisposition", &settings.content_disposition),
        ("contentEncoding", &settings.content_encoding),
        ("contentLanguage", &settings.content_language),
    ] {
        if let Some(value) = value {
            json[field] = Value::from(value.as_str());
        }
    }
    json
}

/// An answer that is a file's metadata.
fn metadata_answer(status: StatusCode, file: &StoredFile) -> Response {
    answer::tagged(answer::json_of(status, &metadata_json(file)), file.version)
}

fn not_found(name: &FileName) -> ApiError {
    ApiError::not_found(format!("there is no file `{name}`")).about(name)
}
