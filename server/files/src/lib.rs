//! Files: bytes in an object store, metadata as documents, under the rules of `service firebase.storage`.
//!
//! [`Files`] is the one door: whatever is done to a file on behalf of somebody is put to the engine's `FileJudge` there. Bytes
//! are written under a fresh key first and published by a commit, which sets the file's document; so a crash at any
//! point leaves the old file or the new one, and bytes that no document names are collected later. Bytes that were
//! overwritten or deleted stay for as long as the change log does, so that the past can be restored.
//!
//! Deliberately absent: HTTP, and what a browser may do with a file beyond [`ContentType::is_inert`].

mod blobs;
mod buckets;
mod content_type;
mod embedded;
mod error;
mod examination;
mod fields;
mod files;
mod garbage;
mod hashes;
mod links;
mod list;
mod name;
mod options;
mod past;
mod place;
mod record;
mod resumable;
mod transfer;
mod upload;
mod usage;
mod variants;

pub use blobs::{Blobs, ByteStream, RemoteStore, StoreUrl};
pub use buckets::{Bucket, BucketList, BucketSettings, TypePattern, VariantPolicy};
pub use content_type::{ContentType, SNIFFED_BYTES};
pub use error::FilesError;
pub use examination::FilesExamination;
pub use files::{Files, Guard, MetadataChange, Published, StoredFile};
pub use links::{LINK_SECONDS_MAX, LinkGrant, LinkMethod};
pub use list::{ListQuery, Listing};
pub use name::{BucketName, FileName, NAME_BYTES_MAX};
pub use options::FilesOptions;
pub use record::{FileRecord, FileSettings, METADATA_BYTES_MAX};
pub use resumable::{
    CONCATENATED_MAX, Checksum, ChecksumAlgorithm, Continuation, PART_BYTES_MAX, PARTS_MAX, Progress,
    ResumableRequest, ResumableUpload, UploadId,
};
pub use transfer::{DELETED_MAX, Transfer};
pub use upload::{Digests, Upload, UploadRequest};
pub use usage::Usage;
pub use variants::{Fit, Presets, VARIANT_SIDE_MAX, Variant, VariantFormat};
