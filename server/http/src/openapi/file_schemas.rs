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

/// One thing to do with a file.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FileAction {
    /// Where to copy it.
    #[schema(required = false, nullable = false)]
    copy: Option<FileTarget>,
    /// Where to move it.
    #[schema(required = false, nullable = false, rename = "move")]
    moved: Option<FileTarget>,
    /// What a link to it is to be good for.
    #[schema(required = false, nullable = false)]
    link: Option<FileLinkRequest>,
}

/// The place of a file.
#[derive(ToSchema)]
pub(crate) struct FileTarget {
    /// Bucket and name.
    #[schema(example = "main/photos/copy.png")]
    to: String,
}

/// What a link is to be good for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FileLinkRequest {
    /// `GET`, to read, or `PUT`, to upload.
    #[schema(required = false, nullable = false, example = "GET")]
    method: Option<String>,
    /// For how many seconds it holds: 900 by default, at most a week.
    #[schema(required = false, nullable = false)]
    expires_in: Option<u32>,
    /// To upload: how many bytes at most.
    #[schema(required = false, nullable = false)]
    size: Option<u64>,
    /// To upload: what kind of bytes they have to be.
    #[schema(required = false, nullable = false)]
    content_type: Option<String>,
    /// To read: what the download is to be called.
    #[schema(required = false, nullable = false)]
    file_name: Option<String>,
    /// To read an image: which variant, as in `width=200&height=200&fit=cover`.
    #[schema(required = false, nullable = false)]
    variant: Option<String>,
}

/// A link.
#[derive(ToSchema)]
pub(crate) struct FileLink {
    /// The URL; its path alone unless files have a host of their own.
    #[schema(example = "/api/v1/files/main/photos/cat.png?link=…")]
    url: String,
    /// What it is good for.
    #[schema(example = "GET")]
    method: String,
    /// Until when.
    #[schema(format = "date-time")]
    expires: String,
}

/// What comes of acting on a file.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "never made")]
pub(crate) enum FileActedOn {
    /// A link was made.
    Link(FileLink),
    /// It was copied or moved over this file.
    File(File),
}

/// A form with files.
#[derive(ToSchema)]
pub(crate) struct FileForm {
    /// What the names of files begin with that have none of their own.
    #[schema(required = false, nullable = false, example = "photos/")]
    prefix: Option<String>,
    /// The name of the file that follows.
    #[schema(required = false, nullable = false)]
    name: Option<String>,
    /// The file.
    #[schema(format = "binary")]
    file: String,
}

/// Files that are to be deleted.
#[derive(ToSchema)]
pub(crate) struct FileDeletion {
    /// Their names in the bucket.
    #[schema(example = json!(["a.png", "b.png"]))]
    delete: Vec<String>,
}

/// How many files were deleted.
#[derive(ToSchema)]
pub(crate) struct FilesDeleted {
    /// Those that were there.
    deleted: u32,
}

/// Files that were uploaded.
#[derive(ToSchema)]
pub(crate) struct FilesUploaded {
    /// In the order of the form.
    files: Vec<File>,
}

/// What is said of a bucket.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct BucketSettings {
    /// Whether everybody may read its files by their names, whatever the rules say.
    #[schema(required = false)]
    public_read: bool,
    /// Bytes of one file.
    file_bytes: Option<u64>,
    /// Bytes of all its files.
    bytes: Option<u64>,
    /// Bytes of those that one account has uploaded.
    account_bytes: Option<u64>,
    /// The types that it takes, as in `image/png` and `image/*`; all if there are none.
    #[schema(required = false)]
    types: Vec<String>,
    /// Whether every variant of an image is made, and not presets and signed ones alone.
    #[schema(required = false)]
    free_variants: bool,
}

/// A bucket.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Bucket {
    /// Its name.
    #[schema(example = "avatars")]
    name: String,
    /// Whether the project's configuration says all this, and not an administrator.
    is_declared: bool,
    /// Whether everybody may read its files.
    public_read: bool,
    /// Bytes of one file.
    #[schema(required)]
    file_bytes: Option<u64>,
    /// Bytes of all its files.
    #[schema(required)]
    bytes: Option<u64>,
    /// Bytes of those that one account has uploaded.
    #[schema(required)]
    account_bytes: Option<u64>,
    /// The types that it takes.
    types: Vec<String>,
    /// Whether every variant of an image is made.
    free_variants: bool,
    /// What it has.
    usage: BucketUsage,
}

/// What a bucket has.
#[derive(ToSchema)]
pub(crate) struct BucketUsage {
    /// Files.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Bytes that unfinished uploads have said to bring, and that are kept free for them.
    reserved: u64,
}

/// Buckets.
#[derive(ToSchema)]
pub(crate) struct Buckets {
    /// By their names.
    buckets: Vec<Bucket>,
}
