//! Who calls, and the one function that says what they may do.
//!
//! Every operation of the engine asks [`authorize`] before it looks at anything, and says by an [`Access`] what it is
//! about to do. What it gets is a [`Permit`], which nothing else can make: reads, commits and queries cannot be built
//! without one. An administrator's permit is for everything. Anybody else's has a [`Judge`] in it, to whom every document
//! is put before it is shown, counted, ordered by or written; without rules in force there is no permit for them. A service
//! key with scopes passes every rule within them, and gets no permit for anything else.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Source, Timestamp};

use crate::engine::Shared;
use crate::rules::Judge;
use crate::{Engine, EngineError, Permission, Scopes};

/// Who calls. Made by whoever verified the credentials; the engine believes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// An account that has signed in.
    User(Arc<User>),
    /// A service key.
    ServiceKey(Arc<KeyHolder>),
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

/// A service key as a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key's id.
    pub id: String,
    /// What it may do; `None`: everything.
    pub scopes: Option<Scopes>,
}

impl Caller {
    /// A service key that may do everything.
    pub fn unrestricted_key(id: &str) -> Self {
        Self::ServiceKey(Arc::new(KeyHolder {
            id: id.to_owned(),
            scopes: None,
        }))
    }

    /// The scopes that say what this caller may do in the place of rules: a service key's that may not do everything.
    pub fn scopes(&self) -> Option<&Scopes> {
        match self {
            Self::ServiceKey(key) => key.scopes.as_ref(),
            _ => None,
        }
    }

    /// Whether every rule is passed, and everything may be done that administrators do.
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Anonymous => false,
            Self::User(user) => user.is_admin,
            Self::ServiceKey(key) => key.scopes.is_none(),
            Self::Owner | Self::System => true,
        }
    }

    /// A name that tells callers apart, for records that belong to one of them.
    pub fn identity(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::User(user) => format!("user:{}", user.uid),
            Self::ServiceKey(key) => format!("key:{}", key.id),
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
    /// Do something to a file of a bucket.
    File(&'a str),
    /// See which collections there are.
    ListCollections,
    /// Follow all changes of a collection or group, or of everything.
    Follow(Option<&'a Source>),
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
    let mut is_nothing = true;
    for (index, access) in accesses.into_iter().enumerate() {
        let (is_system, is_judged) = match access {
            Access::Get(path) | Access::Write(path) => (path.is_system(), true),
            Access::List(source) => (source.is_system(), true),
            Access::File(_) => (false, true),
            Access::Follow(source) => (source.is_some_and(Source::is_system), false),
            Access::ListCollections | Access::Administer => (false, false),
        };
        if is_system && *caller != Caller::System {
            return Err(EngineError::denied("system collections are closed"));
        }
        if let Some(scopes) = caller.scopes() {
            access.check_scopes(scopes)?;
        }
        needs_admin = (index > 0 && needs_admin) || !is_judged;
        is_nothing = false;
    }
    let is_in_scope = caller.scopes().is_some() && !is_nothing;
    if caller.is_admin() || is_in_scope {
        return Ok(Permit { judge: None });
    }
    if needs_admin {
        authorize_administration(caller, Permission::Everything)?;
    }
    let rules = shared.rules.load_full();
    Ok(Permit {
        judge: Some(Judge::new(rules.as_ref(), caller, time)?),
    })
}

impl Access<'_> {
    /// Says whether scopes grant it.
    fn check_scopes(self, scopes: &Scopes) -> Result<(), EngineError> {
        match self {
            Self::Get(path) => scopes.check_document(Permission::DocumentsRead, path),
            Self::Write(path) => scopes.check_document(Permission::DocumentsWrite, path),
            Self::List(source) => scopes.check_source(Permission::DocumentsRead, source),
            // What is done to the file is put to the file judge.
            Self::File(bucket) => scopes.check(Permission::FilesRead, Some(bucket)),
            Self::Follow(Some(source)) => scopes.check_source(Permission::ChangesRead, source),
            Self::Follow(None) => scopes.check(Permission::ChangesRead, None),
            Self::ListCollections => scopes.check(Permission::DocumentsRead, None),
            Self::Administer => scopes.check(Permission::ServerRead, None),
        }
    }
}

/// Says whether a caller may do something that administrators do: what needs no permit, because no document comes of it.
/// Accounts that administer may do all of it here, service keys what their scopes say.
///
/// # Errors
/// [`EngineError::PermissionDenied`] or [`EngineError::OutOfScope`].
pub fn authorize_administration(caller: &Caller, permission: Permission) -> Result<(), EngineError> {
    match caller.scopes() {
        Some(scopes) => scopes.check(permission, None),
        None if caller.is_admin() => Ok(()),
        None => Err(EngineError::denied("this is for administrators")),
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
