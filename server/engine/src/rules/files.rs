//! Judging what is done to files, by the rules of `service firebase.storage`.
//!
//! The engine keeps no files. Whoever does asks here before anything is shown or changed, and hands what the rules looked
//! up to the commit that follows, so that nothing is judged on one state and done on another.

use std::sync::Arc;

use andiron_protocol::{CommitBody, DocumentPath, Map, Read};
use andiron_rules::evaluate::{Decision, Denial, Fault, Method, Request, Target};

use super::judge::{ROUNDS_MAX, undecided};
use super::{AccessDenied, Judge, Known, RulesInForce};
use crate::access::Access;
use crate::commit::Committed;
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

/// That an operation may go on. What changes something goes to [`Engine::commit_with_permit`] with it.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct FilePermit {
    /// The documents that the rules looked up.
    reads: Vec<Read>,
    /// The rules that judged; `None` for those who pass every rule.
    rules: Option<Arc<RulesInForce>>,
}

impl FilePermit {
    /// The permit for both of two operations. If the rules have changed between them, what rests on it is judged again.
    pub fn and(mut self, other: Self) -> Self {
        for read in other.reads {
            if !self.reads.contains(&read) {
                self.reads.push(read);
            }
        }
        self.rules = self.rules.or(other.rules);
        self
    }
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

impl Engine {
    /// Applies what a file operation does to the documents about files, if all that its permit rests on still holds when
    /// it is applied: the rules that judged, and every document that they looked up.
    ///
    /// # Errors
    /// [`EngineError::Aborted`] if it does not: then the operation is to be judged again. Else as [`Engine::commit`].
    pub async fn commit_with_permit(
        &self,
        permit: FilePermit,
        mut body: CommitBody,
    ) -> Result<Committed, EngineError> {
        body.reads.extend(permit.reads);
        self.commit_resting_on(body, permit.rules).await
    }
}

impl FileJudge {
    /// Judges one operation.
    ///
    /// # Errors
    /// [`EngineError::PermissionDenied`] or [`EngineError::OutOfScope`], which never tell whether the file exists; or the
    /// store cannot read.
    pub fn decide(&self, operation: FileOperation<'_>) -> Result<FilePermit, EngineError> {
        if let Some(scopes) = &self.scopes {
            scopes.check(operation.method.permission(), Some(operation.bucket))?;
        }
        let Some(judge) = &self.judge else {
            return Ok(FilePermit::default());
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
        let snapshot = self.shared.store.snapshot()?;
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        let mut known = Known::default();
        for _ in 0..ROUNDS_MAX {
            match judge.rules().ruleset().decide(&request, known.documents()) {
                Decision::Allow(_) => return Ok(permit(judge, &known)),
                Decision::Deny(denial) if is_open(&denial, operation.unknown) => {
                    return Ok(permit(judge, &known));
                }
                Decision::Deny(denial) => {
                    let on = format!("b/{}/o/{}", operation.bucket, operation.name);
                    return Err(AccessDenied::new(judge.rules(), method, &on, &denial).into());
                }
                Decision::Needs(paths) => known.look_up(paths, &mut read)?,
            }
        }
        Err(undecided().into())
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

fn permit(judge: &Judge, known: &Known) -> FilePermit {
    let reads = known.versions().iter().map(|(path, version)| Read {
        path: path.clone(),
        version: *version,
    });
    FilePermit {
        reads: reads.collect(),
        rules: Some(Arc::clone(judge.rules())),
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
