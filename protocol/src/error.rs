//! Error codes and the problem body that carries them over the wire (RFC 9457).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The stable code of an error; programs branch on it, sentences may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 400: the request itself is wrong, whatever the state of the data.
    InvalidArgument,
    /// 400 (412 for a failed HTTP precondition): the data is not in the state that the request demands.
    FailedPrecondition,
    /// 400: a number or position is outside what can be answered.
    OutOfRange,
    /// 401: the credentials do not verify.
    Unauthenticated,
    /// 403: the caller may not do this.
    PermissionDenied,
    /// 404.
    NotFound,
    /// 409: a create met an existing document.
    AlreadyExists,
    /// 409: a conflict with another commit; safe to retry.
    Aborted,
    /// 413.
    PayloadTooLarge,
    /// 429: a limit was reached; `Retry-After` tells when to come back.
    ResourceExhausted,
    /// 499: the client went away.
    Cancelled,
    /// 500: a fault of the server.
    Internal,
    /// 501.
    Unimplemented,
    /// 503: the server cannot do this right now.
    Unavailable,
    /// 504: the server's time limit for the request passed.
    DeadlineExceeded,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 15] = [
        Self::InvalidArgument,
        Self::FailedPrecondition,
        Self::OutOfRange,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Aborted,
        Self::PayloadTooLarge,
        Self::ResourceExhausted,
        Self::Cancelled,
        Self::Internal,
        Self::Unimplemented,
        Self::Unavailable,
        Self::DeadlineExceeded,
    ];

    /// The code as it stands on the wire, as in `permission-denied`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid-argument",
            Self::FailedPrecondition => "failed-precondition",
            Self::OutOfRange => "out-of-range",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Aborted => "aborted",
            Self::PayloadTooLarge => "payload-too-large",
            Self::ResourceExhausted => "resource-exhausted",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
            Self::Unimplemented => "unimplemented",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline-exceeded",
        }
    }

    /// The HTTP status that goes with the code when the request did not carry an HTTP precondition.
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::PayloadTooLarge => 413,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The problem's `title`: the code in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidArgument => "Invalid argument",
            Self::FailedPrecondition => "Failed precondition",
            Self::OutOfRange => "Out of range",
            Self::Unauthenticated => "Unauthenticated",
            Self::PermissionDenied => "Permission denied",
            Self::NotFound => "Not found",
            Self::AlreadyExists => "Already exists",
            Self::Aborted => "Aborted",
            Self::PayloadTooLarge => "Payload too large",
            Self::ResourceExhausted => "Resource exhausted",
            Self::Cancelled => "Cancelled",
            Self::Internal => "Internal error",
            Self::Unimplemented => "Unimplemented",
            Self::Unavailable => "Unavailable",
            Self::DeadlineExceeded => "Deadline exceeded",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The body of every error answer: `application/problem+json`, RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Always `about:blank`: the code tells the kind.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What programs branch on.
    pub code: ErrorCode,
    /// What happened and what to do, for people.
    pub detail: String,
    /// The answer's `X-Request-Id`; the server's log lines carry it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The field of the request that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The 1-based line of the request's body or expression that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The 1-based column of the request's body or expression that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The document that the error is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Seconds to wait before the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem of this code with nothing but its sentence.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            problem_type: "about:blank".to_owned(),
            title: code.title().to_owned(),
            status: code.http_status(),
            code,
            detail: detail.into(),
            request_id: None,
            field: None,
            line: None,
            column: None,
            path: None,
            retry_after: None,
        }
    }
}

/// Something that a client sent is not of the protocol: answered as `invalid-argument`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InputError {
    /// What is wrong, and where.
    pub detail: String,
    /// The field of the request that is wrong.
    pub field: Option<String>,
    /// The 1-based line and column in the text that was read.
    pub position: Option<(u32, u32)>,
}

impl InputError {
    /// An error that says `detail`: lower case, no full stop, user input in backticks.
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            field: None,
            position: None,
        }
    }

    /// The same error about a field of the request.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same error at a 1-based line and column.
    #[must_use]
    pub fn at(mut self, line: u32, column: u32) -> Self {
        self.position = Some((line, column));
        self
    }
}

/// User input as it may stand in an error text: cut to a length that a person reads, control characters escaped.
pub(crate) fn excerpt(text: &str) -> String {
    excerpt_of(text, 80)
}

/// At most `chars_max` characters, control characters escaped: those count as what is shown for them.
pub(crate) fn excerpt_of(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let mut left = chars_max;
    for character in text.chars() {
        let length = if character.is_control() {
            character.escape_default().len()
        } else {
            1
        };
        if length > left {
            shown.push('…');
            break;
        }
        left -= length;
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
