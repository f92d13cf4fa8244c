//! Judging what is done to files, by the rules of `service firebase.storage`.
//!
//! The engine keeps no files. Whoever does asks here before anything is shown or changed, and hands what the rules looked
//! up to the commit that follows, so that nothing is judged on one state and done on another.

use std::sync::Arc;

use andiron_protocol::Map;
use andiron_rules::evaluate::{Denial, Fault, Method, Request, Target};

use super::{Judge, JudgedPermit};
use crate::access::Access;
use crate::engine::Shared;
use crate::{Caller, Engine, EngineError, Permission, Scopes};

/// What is to be done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMethod {
    /// Reading its bytes or its metadata.
    Get,
    /// Showing it among others.
    List,
    /// Uploading it, whether or not there is one of its name.
    Create,
    /// Changing its metadata.
    Update,
    /// Deleting it.
    Delete,
}

/// That an operation on a file may go on.
pub type FilePermit = JudgedPermit;

/// An operation on one file.
#[derive(Clone, Copy, Debug)]
pub struct FileOperation<'a> {
    /// What is to be done.
    pub method: FileMethod,
    /// The bucket.
    pub bucket: &'a str,
    /// The whole name, slashes included.
    pub name: &'a str,
    /// The metadata as they stand, by the names that rules have for them; `None` if there is no such file.
    pub before: Option<&'a Map>,
    /// The metadata as they will be, of what is uploaded or updated.
    pub after: Option<&'a Map>,
    /// Metadata that `after` will have and that are not known yet. A denial which comes of their absence is none yet.
    pub unknown: &'a [&'a str],
}

/// One caller, one moment and one revision of the rules, for any number of files.
#[derive(Clone)]
pub struct FileJudge {
    shared: Arc<Shared>,
    judge: Option<Judge>,
    /// Of a service key that has some: they say all that is to be said.
    scopes: Option<Scopes>,
}

impl Engine {
    /// Who says what a caller may do to files of a bucket, at this moment.
    ///
    /// # Errors
    /// If no rules are in force and the caller does not pass every rule, or has no scope for the bucket.
    pub fn file_judge(&self, caller: &Caller, bucket: &str) -> Result<FileJudge, EngineError> {
        let permit = self.authorize(caller, [Access::File(bucket)])?;
        Ok(FileJudge {
            shared: Arc::clone(&self.shared),
            judge: permit.judge().cloned(),
            scopes: caller.scopes().cloned(),
        })
    }
}

impl FileJudge {
    /// Whether rules are asked. If not, nobody looks at the metadata of an operation, and they need not be put together.
    pub fn asks_rules(&self) -> bool {
        self.judge.is_some()
    }

    /// Judges one operation.
    ///
    /// # Errors
    /// [`EngineError::PermissionDenied`] or [`EngineError::OutOfScope`], which never tell whether the file exists; or the
    /// store cannot read.
    pub fn decide(&self, operation: FileOperation<'_>) -> Result<JudgedPermit, EngineError> {
        if let Some(scopes) = &self.scopes {
            scopes.check(operation.method.permission(), Some(operation.bucket))?;
        }
        let Some(judge) = &self.judge else {
            return Ok(JudgedPermit::default());
        };
        let method = operation.method.of_rules();
        let request = Request {
            target: Target::File {
                bucket: operation.bucket,
                name: operation.name,
            },
            method,
            auth: judge.auth(),
            time: judge.time(),
            before: operation.before,
            after: operation.after,
            query: None,
        };
        judge.permit(
            &self.shared,
            &request,
            || format!("b/{}/o/{}", operation.bucket, operation.name),
            |denial| is_open(denial, operation.unknown),
        )
    }
}

impl FileMethod {
    fn permission(self) -> Permission {
        match self {
            Self::Get | Self::List => Permission::FilesRead,
            Self::Create | Self::Update | Self::Delete => Permission::FilesWrite,
        }
    }

    fn of_rules(self) -> Method {
        match self {
            Self::Get => Method::Get,
            Self::List => Method::List,
            Self::Create => Method::Create,
            Self::Update => Method::Update,
            Self::Delete => Method::Delete,
        }
    }
}

/// Whether an `allow` failed for want of what is not known yet.
fn is_open(denial: &Denial, unknown: &[&str]) -> bool {
    denial.tried.iter().any(|tried| match &tried.error {
        Some(error) => match &error.fault {
            Fault::UndefinedProperty(name) => unknown.contains(&&**name),
            _ => false,
        },
        None => false,
    })
}
