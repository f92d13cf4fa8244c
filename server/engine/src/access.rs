//! Who calls, and the one function that says what they may do.
//!
//! Every operation of the engine asks [`authorize`] before it looks at anything, and says by an [`Access`] what it is
//! about to do. What it gets is a [`Permit`], which nothing else can make: reads, commits and queries cannot be built
//! without one. An administrator's permit is for everything. Anybody else's has a [`Judge`] in it, to whom every document
//! is put before it is shown, counted, ordered by or written; without rules in force there is no permit for them.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Source, Timestamp};

use crate::engine::Shared;
use crate::rules::Judge;
use crate::{Engine, EngineError};

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
pub(crate) enum Access<'a> {
    /// Read one document, now or as it was.
    Get(&'a DocumentPath),
    /// Query, list, count or aggregate documents.
    List(&'a Source),
    /// Create, change, delete or verify a document.
    Write(&'a DocumentPath),
    /// Do something to a file.
    File,
    /// See which collections there are.
    ListCollections,
    /// See how queries are answered, and manage indexes.
    Administer,
}

/// The right to go on with what was put to [`authorize`].
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct Permit {
    judge: Option<Judge>,
}

impl Permit {
    /// Who has to be asked about each document; `None` for those who pass every rule.
    pub(crate) fn judge(&self) -> Option<&Judge> {
        self.judge.as_ref()
    }
}

/// Says whether a caller may do all of these things at this time, as far as that can be said without looking at a
/// document. The only place that does. Doing nothing at all tells the newest version and takes room for records, so it
/// is for administrators.
///
/// # Errors
/// [`EngineError::PermissionDenied`], which never tells whether a thing exists.
pub(crate) fn authorize<'a>(
    shared: &Shared,
    caller: &Caller,
    accesses: impl IntoIterator<Item = Access<'a>>,
    time: Timestamp,
) -> Result<Permit, EngineError> {
    let mut needs_admin = true;
    for (index, access) in accesses.into_iter().enumerate() {
        let (is_system, is_judged) = match access {
            Access::Get(path) | Access::Write(path) => (path.is_system(), true),
            Access::List(source) => (source.is_system(), true),
            Access::File => (false, true),
            Access::ListCollections | Access::Administer => (false, false),
        };
        if is_system && *caller != Caller::System {
            return Err(EngineError::denied("system collections are closed"));
        }
        needs_admin = (index > 0 && needs_admin) || !is_judged;
    }
    if caller.is_admin() {
        return Ok(Permit { judge: None });
    }
    if needs_admin {
        authorize_administration(caller)?;
    }
    let rules = shared.rules.load_full();
    Ok(Permit {
        judge: Some(Judge::new(rules.as_ref(), caller, time)?),
    })
}

/// Says whether a caller may administer the server: what needs no permit, because no document comes of it.
///
/// # Errors
/// [`EngineError::PermissionDenied`].
pub fn authorize_administration(caller: &Caller) -> Result<(), EngineError> {
    if caller.is_admin() {
        Ok(())
    } else {
        Err(EngineError::denied("this is for administrators"))
    }
}

impl Engine {
    /// [`authorize`], now.
    pub(crate) fn authorize<'a>(
        &self,
        caller: &Caller,
        accesses: impl IntoIterator<Item = Access<'a>>,
    ) -> Result<Permit, EngineError> {
        authorize(&self.shared, caller, accesses, self.now())
    }
}
