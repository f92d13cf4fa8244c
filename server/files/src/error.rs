//! What goes wrong with files.

use andiron_engine::{EngineError, StoreError};
use andiron_protocol::InputError;

use crate::usage;

/// A refusal or failure. `http` maps it to a problem; the texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The request itself is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The engine refused or failed; a denial by the rules is here.
    #[error(transparent)]
    Engine(EngineError),
    /// There is no such file, and the caller may know it.
    #[error("there is no file `{0}`")]
    NotFound(String),
    /// A condition of the request does not hold.
    #[error("the file is not as `If-Match` or `If-None-Match` demand it")]
    ConditionFailed,
    /// The file is larger than it may be.
    #[error("the file has more than {bytes_max} bytes, which is the limit here")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// What came is not what was said to come.
    #[error("the bytes do not have the {what} that was declared")]
    NotAsDeclared {
        /// Which property.
        what: &'static str,
    },
    /// A list would have to look at more files than it may.
    #[error(
        "the list looked at {examined_max} files, which is the limit, before the page was full; narrow it down with a longer `prefix`"
    )]
    ListTooCostly {
        /// The limit.
        examined_max: usize,
    },
    /// There would be more bytes than there may be.
    #[error("there is no room for it: the files of {of} have at most {bytes_max} bytes together")]
    QuotaExceeded {
        /// What the limit is of.
        of: &'static str,
        /// The limit.
        bytes_max: u64,
    },
    /// The bucket takes no files of this type.
    #[error("this bucket does not take files of the type `{content_type}`")]
    TypeNotAllowed {
        /// The type.
        content_type: String,
    },
    /// What is said of a bucket stands in the configuration.
    #[error("the bucket `{0}` is declared in the project's configuration; change it there")]
    BucketDeclared(String),
    /// A signed link does not hold, or not for this.
    #[error("the link does not hold for this, or not any more")]
    LinkInvalid,
    /// The version is yet to come, or the file as it was then is not kept any more.
    #[error("{0}")]
    OutOfRange(String),
    /// There are no variants of it.
    #[error(
        "it is no image of which variants can be made: those are JPEG, PNG, GIF and WebP, whole and as they should be"
    )]
    NoImage,
    /// The image would take too much to decode.
    #[error(
        "the image has more than {pixels_max} pixels, or takes too much memory: no variants are made of it"
    )]
    ImageTooLarge {
        /// The limit.
        pixels_max: u64,
    },
    /// Making the variant would take more memory than there is for all of them.
    #[error(
        "making this variant takes more than the {bytes_max} bytes of memory that there are for variants"
    )]
    ImageMemory {
        /// The limit.
        bytes_max: u64,
    },
    /// The variant is no preset and nobody has signed for it.
    #[error("only presets and signed variants of this image are made")]
    VariantNotAllowed,
    /// Too many variants are wanted, or one takes too long.
    #[error("many images are being worked on at the moment; try again")]
    VariantsBusy,
    /// There is no such upload, or it is somebody else's.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// Nobody went on with the upload for too long.
    #[error("the upload has expired; begin again")]
    UploadExpired,
    /// The upload is at another place than the bytes that came.
    #[error("the upload is at {offset}, and goes on from there")]
    OtherOffset {
        /// Bytes that are there.
        offset: u64,
    },
    /// Another request on the upload does not come to its end.
    #[error("another request is on this upload; try again")]
    UploadBusy,
    /// The caller has begun too much.
    #[error("there are {uploads_max} unfinished uploads already, which is the limit; finish or end some")]
    TooManyUploads {
        /// The limit.
        uploads_max: u32,
    },
    /// The bytes of a request are not those that its checksum was made of.
    #[error("the bytes do not have the checksum that came with them; send them again")]
    ChecksumDiffers,
    /// An upload cannot become part of a file.
    #[error("the upload `{0}` is not a complete part of this file")]
    NotPartial(String),
    /// Others kept changing the file.
    #[error("the file was changed by others at the same time; try again")]
    Contended,
    /// Nothing more can be written where files are kept.
    #[error(
        "there is no room left where the server keeps files: nothing was changed; its operator has to make room, or delete"
    )]
    StorageFull,
    /// The place in the store is another project's.
    #[error("the place belongs to another project: give each a bucket or a prefix of its own")]
    PlaceTaken,
    /// The place where bytes are kept failed, or cannot be reached. The text is for the log.
    #[error("the storage of files failed: {0}")]
    Storage(String),
    /// Something that cannot be. The text is for the log.
    #[error("{0}")]
    Internal(String),
}

impl FilesError {
    /// The error for each of several who waited for the same.
    pub(crate) fn of_shared(error: &Self) -> Self {
        match error {
            Self::NoImage => Self::NoImage,
            Self::ImageTooLarge { pixels_max } => Self::ImageTooLarge {
                pixels_max: *pixels_max,
            },
            Self::ImageMemory { bytes_max } => Self::ImageMemory {
                bytes_max: *bytes_max,
            },
            Self::Input(error) => Self::Input(error.clone()),
            Self::VariantsBusy => Self::VariantsBusy,
            Self::StorageFull => Self::StorageFull,
            other => Self::Storage(other.to_string()),
        }
    }
}

impl From<EngineError> for FilesError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Input(error) => Self::Input(error),
            EngineError::CeilingExceeded { path, sum_max } => usage::is_full(&path, sum_max),
            EngineError::Store(error) if matches!(*error, StoreError::Full) => Self::StorageFull,
            error => Self::Engine(error),
        }
    }
}

impl From<object_store::Error> for FilesError {
    fn from(error: object_store::Error) -> Self {
        if is_full(&error) {
            return Self::StorageFull;
        }
        let text = error.to_string();
        match error {
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Storage(format!(
                    "the store does not let the server do this; check `files.store_key_id` and \
                     `ANDIRON_FILES_STORE_SECRET`, and what these may do: {text}"
                ))
            }
            _ if GONE_CODES.iter().any(|code| text.contains(code)) => Self::Storage(format!(
                "the bucket or container that `files.store` names is not there: {text}"
            )),
            // Bytes that a document names are there, unless somebody else took them away.
            object_store::Error::NotFound { .. } => Self::Internal(format!("bytes are missing: {text}")),
            _ if FULL_CODES.iter().any(|code| text.contains(code)) => Self::StorageFull,
            _ => Self::Storage(text),
        }
    }
}

/// What stores on the network answer if there is no place for any object.
const GONE_CODES: &[&str] = &[
    "<Code>NoSuchBucket</Code>",
    "<Code>ContainerNotFound</Code>",
    "<Code>ContainerBeingDeleted</Code>",
];

/// What stores on the network answer if they take no more. S3 itself has no limit, and so no code of its own.
const FULL_CODES: &[&str] = &[
    "507 Insufficient Storage",
    "<Code>QuotaExceeded</Code>",
    "<Code>XMinioAdminBucketQuotaExceeded</Code>",
    "<Code>XMinioStorageFull</Code>",
    "<Code>InsufficientCapacity</Code>",
    "<Code>InsufficientStorage</Code>",
    "<Code>AccountLimitExceeded</Code>",
];

impl From<std::io::Error> for FilesError {
    fn from(error: std::io::Error) -> Self {
        if is_full(&error) {
            Self::StorageFull
        } else {
            Self::Storage(error.to_string())
        }
    }
}

/// Whether the cause, however deep, is a full disk or a used-up quota of the operating system.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{QuotaExceeded, StorageFull};
            if matches!(error.kind(), StorageFull | QuotaExceeded) {
                return true;
            }
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures_however_deep_it_lies() {
        let of = |kind: std::io::ErrorKind| {
            FilesError::from(object_store::Error::Generic {
                store: "test",
                source: Box::new(std::io::Error::from(kind)),
            })
        };
        assert!(matches!(
            of(std::io::ErrorKind::StorageFull),
            FilesError::StorageFull
        ));
        assert!(matches!(
            of(std::io::ErrorKind::PermissionDenied),
            FilesError::Storage(_)
        ));
    }
}
