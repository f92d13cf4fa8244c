//! What the engine answers when it does not do what it was asked.

use std::sync::Arc;

use andiron_protocol::{ApplyError, DocumentPath, ErrorCode, InputError};
use andiron_store::StoreError;

use crate::rules::AccessDenied;

/// A refusal or failure of the engine. `http` maps it to a problem; the texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request itself is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The caller may not do this. Says nothing about what is there.
    #[error(transparent)]
    PermissionDenied(Box<AccessDenied>),
    /// The service key that calls has no scope for this.
    #[error("this service key may not do this: it has no scope `{needed}` that covers it")]
    OutOfScope {
        /// The scope's name, without a place.
        needed: &'static str,
    },
    /// A write's own condition does not hold.
    #[error("`{path}`: {reason}")]
    Apply {
        /// The document.
        path: DocumentPath,
        /// The condition.
        reason: ApplyError,
    },
    /// Something that the commit read has changed since; safe to retry from the reading on.
    #[error("{detail}; read again and retry")]
    Aborted {
        /// What has changed.
        detail: String,
        /// The document, if it was one.
        path: Option<DocumentPath>,
    },
    /// The numbers of a document would become higher than the commit may make them.
    #[error("`{path}` would count more than {sum_max}")]
    CeilingExceeded {
        /// The document.
        path: DocumentPath,
        /// The limit.
        sum_max: i64,
    },
    /// A document would become larger than it may.
    #[error("`{path}` would have {bytes} bytes, and a document has at most {bytes_max}")]
    DocumentTooLarge {
        /// The document.
        path: DocumentPath,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A commit would hold more in memory than it may.
    #[error(
        "the documents of the commit, as they were and as they become, have more than {bytes_max} bytes; split it"
    )]
    CommitTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The `Idempotency-Key` was used before for another request.
    #[error(
        "this Idempotency-Key was used for another request in the last 24 hours; use a new key for a new request"
    )]
    IdempotencyKeyReused,
    /// The query would read more than a query may.
    #[error(
        "the query read {read} entries and documents, which is the limit, before its answer was complete; {advice}"
    )]
    QueryTooCostly {
        /// How many it read.
        read: u64,
        /// What would help.
        advice: String,
    },
    /// The query would hold more documents in memory than a query may, because no index has them in its order.
    #[error("putting the result in order takes more than {bytes_max} bytes, which is the limit; {advice}")]
    SortTooLarge {
        /// The limit.
        bytes_max: usize,
        /// What would help.
        advice: String,
    },
    /// The query took longer than a query may.
    #[error("the query took longer than {milliseconds} ms, which is the limit; {advice}")]
    DeadlineExceeded {
        /// The limit.
        milliseconds: u64,
        /// What would help.
        advice: String,
    },
    /// The result is larger than one that can be listened to.
    #[error(
        "the result has more than {documents_max} documents or {bytes_max} bytes, which is the limit for listening; narrow it down with a filter or `limit`"
    )]
    ListenTooLarge {
        /// The limit of documents.
        documents_max: usize,
        /// The limit of bytes.
        bytes_max: usize,
    },
    /// The rules look up more documents for a query that is listened to than can be watched.
    #[error("the rules look up too many documents for this query to be listened to; narrow it down")]
    ListenLooksUpTooMuch,
    /// There are as many listens as there may be.
    #[error("there are {max} listens {place} already, which is the limit; end some first")]
    TooManyListens {
        /// The limit.
        max: usize,
        /// Where it applies.
        place: &'static str,
    },
    /// Too much is waiting already.
    #[error("{what} are waiting already; try again in {retry_after_seconds} s")]
    Busy {
        /// What is waiting.
        what: &'static str,
        /// When to come back.
        retry_after_seconds: u32,
    },
    /// The engine is shutting down or has stopped after a failure.
    #[error("the server is shutting down")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl EngineError {
    /// A denial that is not the rules'. `detail` is for administrators and the log.
    pub(crate) fn denied(detail: &str) -> Self {
        AccessDenied::without_rules(detail).into()
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Input(_) | Self::DocumentTooLarge { .. } | Self::IdempotencyKeyReused => {
                ErrorCode::InvalidArgument
            }
            Self::CeilingExceeded { .. } => ErrorCode::ResourceExhausted,
            Self::CommitTooLarge { .. } => ErrorCode::PayloadTooLarge,
            Self::PermissionDenied(_) | Self::OutOfScope { .. } => ErrorCode::PermissionDenied,
            Self::Apply { reason, .. } => reason.code(),
            Self::Aborted { .. } => ErrorCode::Aborted,
            Self::QueryTooCostly { .. }
            | Self::SortTooLarge { .. }
            | Self::ListenTooLarge { .. }
            | Self::ListenLooksUpTooMuch
            | Self::TooManyListens { .. } => ErrorCode::ResourceExhausted,
            Self::DeadlineExceeded { .. } => ErrorCode::DeadlineExceeded,
            Self::Busy { .. } | Self::Closed => ErrorCode::Unavailable,
            Self::Store(error) => match error.as_ref() {
                StoreError::HistoryGone { .. } => ErrorCode::OutOfRange,
                StoreError::Full | StoreError::ReadOnly | StoreError::Locked { .. } => ErrorCode::Unavailable,
                StoreError::NewerFormat { .. }
                | StoreError::Corrupt { .. }
                | StoreError::SyncFailed { .. }
                | StoreError::Driver { .. } => ErrorCode::Internal,
            },
        }
    }

    /// The document that the error is about.
    pub fn path(&self) -> Option<&DocumentPath> {
        match self {
            Self::Apply { path, .. } | Self::DocumentTooLarge { path, .. } => Some(path),
            Self::Aborted { path, .. } => path.as_ref(),
            _ => None,
        }
    }

    /// Seconds after which another attempt makes sense.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Busy {
                retry_after_seconds, ..
            } => Some(*retry_after_seconds),
            Self::Closed => Some(5),
            Self::Store(error) if matches!(**error, StoreError::Full | StoreError::ReadOnly) => Some(5),
            Self::QueryTooCostly { .. } | Self::SortTooLarge { .. } | Self::TooManyListens { .. } => Some(10),
            _ => None,
        }
    }
}

impl From<AccessDenied> for EngineError {
    fn from(denied: AccessDenied) -> Self {
        Self::PermissionDenied(Box::new(denied))
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
