//! Files as the OpenAPI document describes them. These types are never made.
#![expect(dead_code, reason = "descriptions, not values")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A file's metadata, by the names that rules have for them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct File {
    /// The bucket.
    #[schema(example = "main")]
    bucket: String,
    /// The whole name, slashes included.
    #[schema(example = "photos/cat.png")]
    name: String,
    /// Grows with every change of bytes or metadata; in quotes the file's `ETag`.
    #[schema(example = "1795326035123456")]
    version: String,
    /// Grows with every upload of this name.
    #[schema(example = "1795326035123456")]
    generation: String,
    /// How often the metadata of this upload were written.
    #[schema(example = "1")]
    metageneration: String,
    /// Bytes.
    size: u64,
    /// What kind of bytes.
    #[schema(example = "image/png")]
    content_type: String,
    /// When it was uploaded.
    #[schema(format = "date-time")]
    time_created: String,
    /// When bytes or metadata last changed.
    #[schema(format = "date-time")]
    updated: String,
    /// The MD5 of the bytes, in base64.
    md5_hash: String,
    /// The SHA-256 of the bytes, in base64.
    sha256: String,
    /// The CRC-32C of the bytes, big-endian, in base64.
    crc32c: String,
    /// The file's own metadata.
    metadata: BTreeMap<String, String>,
    /// What is said of caching when it is read.
    #[schema(required = false, nullable = false)]
    cache_control: Option<String>,
    /// `attachment` if it is never to be shown, and a file name.
    #[schema(required = false, nullable = false)]
    content_disposition: Option<String>,
    /// How the bytes are compressed.
    #[schema(required = false, nullable = false)]
    content_encoding: Option<String>,
    /// The language.
    #[schema(required = false, nullable = false)]
    content_language: Option<String>,
}

/// A page of files.
#[derive(ToSchema)]
pub(crate) struct FilePage {
    /// The files, in the order of their names.
    files: Vec<File>,
    /// The folders, each ending with a slash.
    #[schema(example = json!(["photos/2026/"]))]
    folders: Vec<String>,
    /// Where the next page begins; null if this is the last.
    #[schema(required)]
    cursor: Option<String>,
}

/// A change of a file's metadata. What is not given stays; null takes away.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FileChange {
    /// What kind of bytes, as far as they do not contradict it.
    #[schema(required = false, nullable = false)]
    content_type: Option<String>,
    /// What is said of caching when it is read.
    cache_control: Option<String>,
    /// `attachment` if it is never to be shown, and a file name.
    content_disposition: Option<String>,
    /// `gzip`, `br`, `zstd` or `deflate`.
    content_encoding: Option<String>,
    /// The language.
    content_language: Option<String>,
    /// The file's own metadata; null takes a name away.
    #[schema(required = false)]
    metadata: BTreeMap<String, Option<String>>,
}
