//! The one place where an error becomes an answer: `application/problem+json` after RFC 9457.
//!
//! Handlers return [`ApiError`]; the gate turns it into a problem, because it knows the request's id. What went wrong
//! inside the server never leaves it: a 5xx says that it is one, and the log line with the same request id says why. Nor
//! does why the rules deny something, except to administrators and in development.

use andiron_auth::AuthError;
use andiron_engine::{AccessDenied, EngineError, StoreError};
use andiron_files::FilesError;
use andiron_protocol::{ApplyError, ErrorCode, InputError, Problem};
use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::request_id::RequestId;

/// Seconds after which a client may come back to a server that is out of order for a reason that may pass.
const RETRY_AFTER_SECONDS: u32 = 5;

/// A refusal or failure, on its way to becoming a problem.
#[derive(Clone, Debug)]
pub(crate) struct ApiError(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: ErrorCode,
    status: StatusCode,
    detail: String,
    field: Option<String>,
    position: Option<(u32, u32)>,
    path: Option<String>,
    retry_after_seconds: Option<u32>,
    ends_connection: bool,
    /// For the log alone.
    cause: Option<String>,
    /// Why the rules deny it: for the log, and for those who may see it.
    denial: Option<Box<AccessDenied>>,
}

impl ApiError {
    /// An error with the status of its code. `detail` is lower case, without a full stop, user input in backticks.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            status: StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            detail: detail.into(),
            field: None,
            position: None,
            path: None,
            retry_after_seconds: None,
            ends_connection: false,
            cause: None,
            denial: None,
        }))
    }

    /// The request is wrong in itself.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, detail)
    }

    /// Nothing is there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// A fault of the server: `cause` goes to the log and nowhere else.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let mut error = Self::new(
            ErrorCode::Internal,
            "the server failed to answer; its log tells more under this request id",
        );
        error.0.cause = Some(cause.into());
        error
    }

    /// A condition in `If-Match` or `If-None-Match` does not hold.
    pub(crate) fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::FailedPrecondition, detail).with_status(StatusCode::PRECONDITION_FAILED)
    }

    /// The same error with another status than its code's.
    #[must_use]
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The same error about a field, parameter or header of the request.
    #[must_use]
    pub(crate) fn in_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The same error about a document.
    #[must_use]
    pub(crate) fn about(mut self, path: impl ToString) -> Self {
        self.0.path = Some(path.to_string());
        self
    }

    /// The same error, worth another attempt.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// The same error, after which nothing more is taken from an HTTP/1 connection: what follows on it may not be what
    /// it looks like.
    #[must_use]
    pub(crate) fn ending_connection(mut self) -> Self {
        self.0.ends_connection = true;
        self
    }

    /// The same error where the request carried an HTTP precondition: RFC 9110 has 412 for one that does not hold.
    #[must_use]
    pub(crate) fn of_http_precondition(self) -> Self {
        if self.0.code == ErrorCode::FailedPrecondition {
            self.with_status(StatusCode::PRECONDITION_FAILED)
        } else {
            self
        }
    }

    /// What the log is to know beyond what the client is told.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Why it was denied, for the log.
    pub(crate) fn denial(&self) -> Option<&str> {
        self.0.denial.as_ref().map(|denied| denied.detail.as_str())
    }

    /// The same error, with where and why the rules deny it in the text: for administrators and in development.
    #[must_use]
    pub(crate) fn showing_denial(mut self) -> Self {
        if let Some(denied) = self.0.denial.take() {
            self.0.detail = format!("{}: {}", self.0.detail, denied.detail);
            self.0.position = denied.place.map(|place| (place.line, place.column));
        }
        self
    }

    /// The problem as a part of something else: a frame, an event.
    pub(crate) fn to_problem(&self) -> Problem {
        let mut problem = Problem::new(self.0.code, self.0.detail.clone());
        problem.status = self.0.status.as_u16();
        problem.field.clone_from(&self.0.field);
        problem.line = self.0.position.map(|(line, _)| line);
        problem.column = self.0.position.map(|(_, column)| column);
        problem.path.clone_from(&self.0.path);
        problem.retry_after = self.0.retry_after_seconds;
        problem
    }

    /// The answer.
    pub(crate) fn into_problem(self, request_id: &RequestId) -> Response {
        let mut problem = self.to_problem();
        problem.request_id = Some(request_id.as_str().to_owned());
        let Parts {
            status,
            retry_after_seconds,
            ends_connection,
            ..
        } = *self.0;
        // A problem is plain strings and numbers.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if ends_connection {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Leaves the error in the response for the gate to write out.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<InputError> for ApiError {
    fn from(error: InputError) -> Self {
        let mut api = Self::invalid(error.detail);
        api.0.field = error.field;
        api.0.position = error.position;
        api
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let code = error.code();
        let retry_after = error.retry_after_seconds();
        let mut api = match error {
            EngineError::Input(error) => Self::from(error),
            EngineError::Store(error) => of_store(&error, code),
            EngineError::PermissionDenied(denied) => {
                let mut api = Self::new(code, denied.to_string());
                api.0.denial = Some(denied);
                api
            }
            // A write that names its own `if` reads better with what `if` demanded than with the header's name.
            EngineError::Apply { path, reason } => {
                Self::new(code, apply_detail(path.as_str(), reason)).about(path)
            }
            other => {
                let path = other.path().map(ToString::to_string);
                let mut api = Self::new(code, other.to_string());
                api.0.path = path;
                api
            }
        };
        api.0.retry_after_seconds = retry_after.or(api.0.retry_after_seconds);
        api
    }
}

fn apply_detail(path: &str, reason: ApplyError) -> String {
    format!("`{path}`: {reason}")
}

fn of_store(error: &StoreError, code: ErrorCode) -> ApiError {
    match error {
        // These say nothing but what the operator has to do, and a client what to expect.
        StoreError::Full | StoreError::ReadOnly | StoreError::HistoryGone { .. } => {
            let mut api = ApiError::new(code, error.to_string());
            if code == ErrorCode::Unavailable {
                api.0.cause = Some(error.to_string());
            }
            api
        }
        _ if code == ErrorCode::Unavailable => {
            let mut api = ApiError::new(code, "the data cannot be reached at the moment")
                .retry_after(RETRY_AFTER_SECONDS);
            api.0.cause = Some(error.to_string());
            api
        }
        _ => ApiError::internal(error.to_string()),
    }
}

/// What a client can do if bytes cannot be reached; why they cannot is for the log.
const STORAGE_UNAVAILABLE: &str = "the storage of files cannot be reached at the moment; try again, and if it stays so, tell the \
                                   operator, whose log says why under this request id";

/// What tus has for bytes that are not those of their checksum.
fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST)
}

impl From<FilesError> for ApiError {
    fn from(error: FilesError) -> Self {
        let detail = error.to_string();
        match error {
            FilesError::Input(error) => error.into(),
            FilesError::Engine(error) => error.into(),
            FilesError::NotFound(_) => Self::not_found(detail),
            FilesError::ConditionFailed => Self::precondition_failed(detail),
            FilesError::TooLarge { .. } => Self::new(ErrorCode::PayloadTooLarge, detail),
            FilesError::NotAsDeclared { .. } => Self::invalid(detail),
            FilesError::QuotaExceeded { .. } => {
                Self::new(ErrorCode::ResourceExhausted, detail).with_status(StatusCode::INSUFFICIENT_STORAGE)
            }
            FilesError::TypeNotAllowed { .. } => {
                Self::invalid(detail).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            FilesError::BucketDeclared(_) => Self::new(ErrorCode::FailedPrecondition, detail),
            FilesError::OutOfRange(_) => Self::new(ErrorCode::OutOfRange, detail).in_field("version"),
            FilesError::LinkInvalid => Self::new(ErrorCode::PermissionDenied, detail),
            FilesError::NoImage => Self::new(ErrorCode::FailedPrecondition, detail)
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            FilesError::ImageTooLarge { .. } | FilesError::ImageMemory { .. } => {
                Self::new(ErrorCode::PayloadTooLarge, detail)
            }
            FilesError::VariantNotAllowed => Self::new(ErrorCode::PermissionDenied, detail),
            FilesError::VariantsBusy => {
                Self::new(ErrorCode::Unavailable, detail).retry_after(RETRY_AFTER_SECONDS)
            }
            FilesError::NoSuchUpload => Self::not_found(detail),
            FilesError::UploadExpired => Self::not_found(detail).with_status(StatusCode::GONE),
            FilesError::OtherOffset { .. } => Self::new(ErrorCode::Aborted, detail).in_field("Upload-Offset"),
            FilesError::UploadBusy => Self::new(ErrorCode::Aborted, detail).with_status(StatusCode::LOCKED),
            FilesError::TooManyUploads { .. } => {
                Self::new(ErrorCode::ResourceExhausted, detail).retry_after(RETRY_AFTER_SECONDS)
            }
            FilesError::ChecksumDiffers => Self::invalid(detail)
                .with_status(checksum_mismatch())
                .in_field("Upload-Checksum"),
            FilesError::NotPartial(_) => {
                Self::new(ErrorCode::FailedPrecondition, detail).in_field("Upload-Concat")
            }
            FilesError::ListTooCostly { .. } => Self::new(ErrorCode::ResourceExhausted, detail),
            FilesError::Contended => Self::new(ErrorCode::Aborted, detail),
            FilesError::StorageFull => {
                let mut api = Self::new(ErrorCode::ResourceExhausted, detail.clone())
                    .with_status(StatusCode::INSUFFICIENT_STORAGE);
                api.0.cause = Some(detail);
                api
            }
            FilesError::PlaceTaken | FilesError::Storage(_) => {
                let mut api =
                    Self::new(ErrorCode::Unavailable, STORAGE_UNAVAILABLE).retry_after(RETRY_AFTER_SECONDS);
                api.0.cause = Some(detail);
                api
            }
            FilesError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let detail = error.to_string();
        match error {
            AuthError::Unauthenticated => Self::new(
                ErrorCode::Unauthenticated,
                "the credentials do not verify: `Authorization: Bearer` takes an access token in force or a service key \
                 that has not been revoked",
            ),
            AuthError::SignInFailed | AuthError::PasskeyRefused => {
                Self::new(ErrorCode::Unauthenticated, detail)
            }
            AuthError::KeyExpired => Self::new(ErrorCode::Unauthenticated, detail),
            AuthError::AccountDisabled | AuthError::NotAllowed(_) => {
                Self::new(ErrorCode::PermissionDenied, detail)
            }
            AuthError::CodeInvalid | AuthError::NotPossible(_) | AuthError::TooManyKeys => {
                Self::new(ErrorCode::FailedPrecondition, detail)
            }
            AuthError::RefreshRaced | AuthError::Contended => Self::new(ErrorCode::Aborted, detail),
            AuthError::TooManyAttempts { retry_after_seconds } => {
                Self::new(ErrorCode::ResourceExhausted, detail).retry_after(retry_after_seconds)
            }
            AuthError::Busy { retry_after_seconds } => {
                Self::new(ErrorCode::Unavailable, detail).retry_after(retry_after_seconds)
            }
            AuthError::Input(error) => error.into(),
            AuthError::AddressTaken => Self::new(ErrorCode::AlreadyExists, detail).in_field("email"),
            AuthError::UidTaken { .. } => Self::new(ErrorCode::AlreadyExists, detail).in_field("uid"),
            AuthError::NameTaken { .. } => Self::new(ErrorCode::AlreadyExists, detail).in_field("name"),
            AuthError::ProviderRefused => Self::new(ErrorCode::Unauthenticated, detail),
            AuthError::NoSuchProvider
            | AuthError::NoSuchAccount { .. }
            | AuthError::NoSuchSession
            | AuthError::NoSuchPasskey
            | AuthError::NoSuchKey { .. } => Self::not_found(detail),
            AuthError::Internal(cause) => Self::internal(cause),
            AuthError::Engine(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What a client sees of an engine's error: the status and the whole text.
    fn seen(error: impl Into<EngineError>) -> (u16, String) {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("id"));
        let request_id = RequestId::from_headers(&headers).unwrap();
        let error = ApiError::from(error.into());
        let shown = format!("{} {:?}", error.0.detail, error.0.path);
        (error.into_problem(&request_id).status().as_u16(), shown)
    }

    #[test]
    fn failures_of_the_store_say_nothing_of_its_inside() {
        let secret = || "/srv/secret/data.db: row 17".to_owned();
        for (error, status) in [
            (StoreError::Corrupt { detail: secret() }, 500),
            (StoreError::SyncFailed { detail: secret() }, 500),
            (
                StoreError::Driver {
                    doing: "secret things",
                    source: secret().into(),
                },
                500,
            ),
            (
                StoreError::Locked {
                    path: secret().into(),
                    holder: Some(1),
                },
                503,
            ),
        ] {
            let (seen, text) = seen(EngineError::Store(Arc::new(error)));
            assert_eq!(seen, status);
            assert!(!text.contains("secret") && !text.contains("row 17"), "{text}");
        }
    }

    #[test]
    fn what_the_operator_can_mend_is_said() {
        for (error, status) in [(StoreError::Full, 503), (StoreError::ReadOnly, 503)] {
            let said = error.to_string();
            let (seen, text) = seen(EngineError::Store(Arc::new(error)));
            assert_eq!(seen, status);
            assert!(text.contains(&said), "{text}");
        }
    }
}
