//! Who calls, and the one function that says what they may do.
//!
//! Every operation of the engine asks [`authorize`] before it looks at anything, and says by an [`Access`] what it is
//! about to do. A new operation that forgets to ask has no [`Access`] to show and cannot build its plan. Rules files
//! will answer here for callers that are no administrators; until there are any, those are refused everything.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Source};

use crate::EngineError;

/// Who calls. Made by whoever verified the credentials; the engine believes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// An account that has signed in.
    User(Arc<User>),
    /// A service key, by its id.
    ServiceKey(String),
    /// The owner of the data folder, through the local socket or the command line.
    Owner,
    /// The server itself: the only one to whom system collections are open.
    System,
}

/// An account that has signed in, as rules see it: `request.auth`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The account's id: `request.auth.uid`.
    pub uid: String,
    /// Every claim of its token, by Firebase's names: `request.auth.token`.
    pub token: Map,
    /// Whether it administers the server and so passes every rule.
    pub is_admin: bool,
}

impl Caller {
    /// Whether every rule is passed.
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Anonymous => false,
            Self::User(user) => user.is_admin,
            Self::ServiceKey(_) | Self::Owner | Self::System => true,
        }
    }

    /// A name that tells callers apart, for records that belong to one of them.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::User(user) => format!("user:{}", user.uid),
            Self::ServiceKey(id) => format!("key:{id}"),
            Self::Owner => "owner".to_owned(),
            Self::System => "system".to_owned(),
        }
    }
}

/// Something that a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// Read one document, now or as it was.
    Get(&'a DocumentPath),
    /// Query, list, count or aggregate documents.
    List(&'a Source),
    /// Create, change, delete or verify a document.
    Write(&'a DocumentPath),
    /// See which collections there are.
    ListCollections,
    /// See how queries are answered, and manage indexes.
    Administer,
}

/// Says whether a caller may do something. The only place that does.
///
/// # Errors
/// [`EngineError::PermissionDenied`], which never tells whether the thing exists.
pub fn authorize(caller: &Caller, access: Access<'_>) -> Result<(), EngineError> {
    let is_system = match access {
        Access::Get(path) | Access::Write(path) => path.is_system(),
        Access::List(source) => source.is_system(),
        Access::ListCollections | Access::Administer => false,
    };
    let allowed = caller.is_admin() && (!is_system || *caller == Caller::System);
    if allowed {
        Ok(())
    } else {
        Err(EngineError::PermissionDenied)
    }
}
