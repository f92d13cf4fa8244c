//! Scopes: what a service key may do that may not do everything.
//!
//! A scope is a permission by name, `documents:read`, and where it makes sense the one collection or bucket that it is for,
//! `documents:read:posts`. Scopes are an allowlist: what none of them names is refused, and what has no name here, such as
//! making keys, takes a key for everything. What is granted passes every rule; what is not granted no rule grants.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use andiron_protocol::{CollectionPath, DocumentPath, InputError, Source};

use crate::EngineError;

/// Scopes of one key.
pub const SCOPES_MAX: usize = 32;

/// Something that a key may be let do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everything there is.
    Everything,
    /// Get, list, query, count and listen to documents; of one collection and those below it, if it names one.
    DocumentsRead,
    /// Besides that, create, change and delete them.
    DocumentsWrite,
    /// Follow the changes of documents, with the documents before and after; of one collection and those below it, if it
    /// names one.
    ChangesRead,
    /// Get and list files; of one bucket, if it names one.
    FilesRead,
    /// Besides that, upload, change and delete them.
    FilesWrite,
    /// See accounts and their sessions.
    AccountsRead,
    /// Besides that, create, change, invite, sign out and delete accounts, but for those that administer.
    AccountsWrite,
    /// Set claims, and roles of the app's own.
    ClaimsWrite,
    /// Mint custom tokens, which sign in as any account that does not administer.
    TokensMint,
    /// Begin sessions as any account that does not administer.
    AccountsImpersonate,
    /// See, check, test and explain rules.
    RulesRead,
    /// Besides that, publish them.
    RulesWrite,
    /// Read the audit log.
    AuditRead,
    /// See figures, indexes, plans of queries, and which keys sign tokens.
    ServerRead,
}

impl Permission {
    /// Every permission with its name.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::Everything, "admin:*"),
        (Self::DocumentsRead, "documents:read"),
        (Self::DocumentsWrite, "documents:write"),
        (Self::ChangesRead, "changes:read"),
        (Self::FilesRead, "files:read"),
        (Self::FilesWrite, "files:write"),
        (Self::AccountsRead, "accounts:read"),
        (Self::AccountsWrite, "accounts:write"),
        (Self::ClaimsWrite, "claims:write"),
        (Self::TokensMint, "tokens:mint"),
        (Self::AccountsImpersonate, "accounts:impersonate"),
        (Self::RulesRead, "rules:read"),
        (Self::RulesWrite, "rules:write"),
        (Self::AuditRead, "audit:read"),
        (Self::ServerRead, "server:read"),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(permission, _)| *permission == self);
        found.map_or("", |(_, name)| name)
    }

    /// Whether who has this may do what takes `other`, at the same place.
    fn includes(self, other: Self) -> bool {
        self == other
            || matches!(
                (self, other),
                (Self::Everything, _)
                    | (Self::DocumentsWrite, Self::DocumentsRead)
                    | (Self::FilesWrite, Self::FilesRead)
                    | (Self::AccountsWrite, Self::AccountsRead)
                    | (Self::RulesWrite, Self::RulesRead)
            )
    }
}

/// A permission, and the place that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    permission: Permission,
    /// A collection or a bucket; `None`: all.
    within: Option<Box<str>>,
}

impl FromStr for Scope {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let known = Permission::ALL.iter().find_map(|(permission, name)| {
            let rest = text.strip_prefix(name)?;
            match rest.strip_prefix(':') {
                Some(within) => Some((*permission, Some(within))),
                None => rest.is_empty().then_some((*permission, None)),
            }
        });
        let (permission, within) = known.ok_or_else(|| {
            let names: Vec<_> = Permission::ALL.iter().map(|(_, name)| *name).collect();
            InputError::new(format!("a scope is one of `{}`", names.join("`, `")))
        })?;
        let within = match (permission, within) {
            (_, None) => None,
            (
                Permission::DocumentsRead | Permission::DocumentsWrite | Permission::ChangesRead,
                Some(within),
            ) => {
                let collection: CollectionPath = within.parse()?;
                if collection.is_system() {
                    return Err(InputError::new("no key is for a collection of the server's own"));
                }
                Some(within)
            }
            (Permission::FilesRead | Permission::FilesWrite, Some(within)) if is_bucket(within) => {
                Some(within)
            }
            (Permission::FilesRead | Permission::FilesWrite, Some(_)) => {
                return Err(InputError::new("a scope of files ends in the name of a bucket"));
            }
            (permission, Some(_)) => {
                return Err(InputError::new(format!(
                    "the scope `{}` is for all or nothing",
                    permission.as_str()
                )));
            }
        };
        Ok(Self {
            permission,
            within: within.map(Box::from),
        })
    }
}

fn is_bucket(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', ':']) && name.chars().all(|character| !character.is_control())
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.permission.as_str())?;
        match &self.within {
            Some(within) => write!(formatter, ":{within}"),
            None => Ok(()),
        }
    }
}

/// The scopes of a key. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Arc<[Scope]>);

impl Scopes {
    /// Reads scopes by their names.
    ///
    /// # Errors
    /// If there are none or too many, or one is not known.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, InputError> {
        if names.is_empty() || names.len() > SCOPES_MAX {
            let detail = format!("a key has 1 to {SCOPES_MAX} scopes, or none and may do everything");
            return Err(InputError::new(detail).in_field("scopes"));
        }
        let scopes: Result<Arc<[_]>, _> = names.iter().map(|name| name.as_ref().parse()).collect();
        Ok(Self(
            scopes.map_err(|error: InputError| error.in_field("scopes"))?,
        ))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    /// Whether they let their key do everything.
    pub fn are_everything(&self) -> bool {
        self.grant(Permission::Everything, None)
    }

    /// Whether they let their key do something, to all of it or to what is `within` a collection or a bucket.
    pub(crate) fn grant(&self, permission: Permission, within: Option<&str>) -> bool {
        self.0.iter().any(|scope| {
            scope.permission.includes(permission)
                && match (&scope.within, within) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(scope), Some(within)) => is_below(within, scope),
                }
        })
    }

    pub(crate) fn check(&self, permission: Permission, within: Option<&str>) -> Result<(), EngineError> {
        if self.grant(permission, within) {
            return Ok(());
        }
        Err(EngineError::OutOfScope {
            needed: permission.as_str(),
        })
    }

    pub(crate) fn check_document(
        &self,
        permission: Permission,
        path: &DocumentPath,
    ) -> Result<(), EngineError> {
        self.check(permission, Some(path.collection_str()))
    }

    pub(crate) fn check_source(&self, permission: Permission, source: &Source) -> Result<(), EngineError> {
        match source {
            Source::Collection(path) => self.check(permission, Some(path.as_str())),
            // A group is everywhere.
            Source::Group(_) => self.check(permission, None),
        }
    }
}

/// Whether a collection is another one, or one under a document of it.
fn is_below(path: &str, scope: &str) -> bool {
    path.strip_prefix(scope)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for name in [
            "admin:*",
            "documents:read",
            "documents:write:posts/p1/comments",
            "files:read:main",
        ] {
            assert_eq!(name.parse::<Scope>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for name in [
            "",
            "*",
            "admin",
            "documents",
            "documents:*",
            "documents:readposts",
            "documents:read:",
            "documents:read:posts/p1",
            "documents:read:_accounts",
            "documents:read:posts/p1/_secret",
            "files:read:",
            "files:read:a/b",
            "accounts:read:x",
            "Documents:read",
            " documents:read",
        ] {
            assert!(name.parse::<Scope>().is_err(), "{name}");
        }
        assert!(Scopes::parse::<&str>(&[]).is_err());
        assert!(Scopes::parse(&vec!["audit:read"; SCOPES_MAX + 1]).is_err());
    }

    #[test]
    fn a_collection_covers_itself_and_what_is_below_it() {
        let scopes = Scopes::parse(&["documents:write:posts"]).unwrap();
        for (within, is_granted) in [
            (Some("posts"), true),
            (Some("posts/p1/comments"), true),
            (Some("postscripts"), false),
            (Some("users/u1/posts"), false),
            (None, false),
        ] {
            for permission in [Permission::DocumentsRead, Permission::DocumentsWrite] {
                assert_eq!(scopes.grant(permission, within), is_granted, "{within:?}");
            }
        }
        assert!(!scopes.grant(Permission::FilesRead, Some("posts")));
    }
}
