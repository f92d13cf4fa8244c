//! The judge: one caller, one moment, one version of the rules.

use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map, Query, Timestamp};
use andiron_rules::evaluate::{Auth, BatchDecision, DATABASE_DEFAULT, Decision, Method, Request, Target};
use andiron_store::StoredDocument;

use super::{AccessDenied, Known, ReadDocument, RulesInForce};
use crate::commit::stored_data;
use crate::engine::Shared;
use crate::{Caller, EngineError, User};

/// How often the rules may ask for documents before an answer: far more than their own limits on look-ups let them.
pub(super) const ROUNDS_MAX: usize = 256;

/// Whom the documents of one request are put to.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    rules: Arc<RulesInForce>,
    user: Option<Arc<User>>,
    time: Timestamp,
}

/// An operation on a document.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a DocumentPath,
    pub(crate) before: Option<&'a Map>,
    pub(crate) after: Option<&'a Map>,
}

impl<'a> Operation<'a> {
    /// Reading a document.
    pub(crate) fn get(path: &'a DocumentPath, data: Option<&'a Map>) -> Self {
        Self {
            method: Method::Get,
            path,
            before: data,
            after: None,
        }
    }
}

impl Judge {
    /// A judge for a caller who does not pass every rule anyway.
    ///
    /// # Errors
    /// If there are no rules: then everything is denied.
    pub(crate) fn new(
        rules: Option<&Arc<RulesInForce>>,
        caller: &Caller,
        time: Timestamp,
    ) -> Result<Self, EngineError> {
        let rules = rules.ok_or_else(|| EngineError::denied("no rules are in force"))?;
        let user = match caller {
            Caller::User(user) => Some(Arc::clone(user)),
            _ => None,
        };
        Ok(Self {
            rules: Arc::clone(rules),
            user,
            time,
        })
    }

    /// The same request by these rules.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn under(&self, rules: Option<&Arc<RulesInForce>>) -> Result<Self, EngineError> {
        let rules = rules.ok_or_else(|| EngineError::denied("no rules are in force any more"))?;
        Ok(Self {
            rules: Arc::clone(rules),
            ..self.clone()
        })
    }

    /// By what it judges.
    pub(crate) fn rules(&self) -> &Arc<RulesInForce> {
        &self.rules
    }

    /// Who asks, as rules see it.
    pub(crate) fn auth(&self) -> Option<Auth<'_>> {
        self.user.as_ref().map(|user| Auth {
            uid: &user.uid,
            token: &user.token,
        })
    }

    /// When.
    pub(crate) fn time(&self) -> Timestamp {
        self.time
    }

    fn request<'a>(&'a self, operation: Operation<'a>, query: Option<&'a Query>) -> Request<'a> {
        Request {
            target: Target::Document {
                database: DATABASE_DEFAULT,
                path: operation.path,
            },
            method: operation.method,
            auth: self.auth(),
            time: self.time,
            before: operation.before,
            after: operation.after,
            query,
        }
    }

    /// Judges one operation. The inner result is the decision.
    pub(crate) fn decide(
        &self,
        operation: Operation<'_>,
        known: &mut Known,
        read: ReadDocument<'_>,
    ) -> Result<Result<(), AccessDenied>, EngineError> {
        let request = self.request(operation, None);
        for _ in 0..ROUNDS_MAX {
            match self.rules.ruleset().decide(&request, known.documents()) {
                Decision::Allow(_) => return Ok(Ok(())),
                Decision::Deny(denial) => {
                    return Ok(Err(AccessDenied::new(
                        &self.rules,
                        operation.method,
                        operation.path,
                        &denial,
                    )));
                }
                Decision::Needs(paths) => known.look_up(paths, read)?,
            }
        }
        Ok(Err(undecided()))
    }

    /// Whether a document may be among those of a query's result.
    pub(crate) fn lists(
        &self,
        query: &Query,
        path: &DocumentPath,
        data: &Map,
        known: &mut Known,
        read: ReadDocument<'_>,
    ) -> Result<bool, EngineError> {
        let operation = Operation {
            method: Method::List,
            ..Operation::get(path, Some(data))
        };
        let request = self.request(operation, Some(query));
        for _ in 0..ROUNDS_MAX {
            match self.rules.ruleset().decide(&request, known.documents()) {
                Decision::Allow(_) => return Ok(true),
                Decision::Deny(_) => return Ok(false),
                Decision::Needs(paths) => known.look_up(paths, read)?,
            }
        }
        Ok(false)
    }

    /// Judges operations that happen together or not at all.
    pub(crate) fn decide_all(
        &self,
        operations: &[Operation<'_>],
        known: &mut Known,
        read: ReadDocument<'_>,
    ) -> Result<Result<(), AccessDenied>, EngineError> {
        let requests: Vec<_> = operations
            .iter()
            .map(|operation| self.request(*operation, None))
            .collect();
        for _ in 0..ROUNDS_MAX {
            match self.rules.ruleset().decide_all(&requests, known.documents()) {
                BatchDecision::Allow { .. } => return Ok(Ok(())),
                BatchDecision::Deny { index, denial } => {
                    let denied = match operations.get(index) {
                        Some(operation) => {
                            AccessDenied::new(&self.rules, operation.method, operation.path, &denial)
                        }
                        None => undecided(),
                    };
                    return Ok(Err(denied));
                }
                BatchDecision::Needs(paths) => known.look_up(paths, read)?,
            }
        }
        Ok(Err(undecided()))
    }

    /// The newest document, if it may be read.
    ///
    /// A document in the cache is mostly decided by the cache alone. Without look-ups the decision depends on this one
    /// document, read at one moment. With look-ups the documents were read one after the other; if afterwards each of
    /// them still is cached at the same version, then all of them were the newest ones at the moment between, because a
    /// cached document is, and versions never come back.
    ///
    /// Whatever else there is, and every denial, is decided on one snapshot. So a denial takes as long where there is a
    /// document as where there is none, although the cache may know that there is none.
    pub(crate) fn get(
        &self,
        shared: &Shared,
        path: &DocumentPath,
    ) -> Result<Option<StoredDocument>, EngineError> {
        let ticket = match shared.cache.get(path) {
            Ok(None) => None,
            Ok(Some(document)) => {
                shared.metrics.cache_hits.inc();
                let mut known = Known::default();
                let mut read = |path: &DocumentPath| shared.get(path);
                let decided = self.decide_get(path, Some(&document), &mut known, &mut read)?;
                if decided.is_ok() && (known.versions().is_empty() || are_newest(shared, &document, &known)) {
                    return Ok(Some(document));
                }
                None
            }
            Err(ticket) => {
                shared.metrics.cache_misses.inc();
                Some(ticket)
            }
        };
        let snapshot = shared.store.snapshot()?;
        let document = snapshot.get_stored(path)?;
        if let Some(ticket) = ticket {
            shared.cache.put(ticket, path, document.as_ref());
        }
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        self.decide_get(path, document.as_ref(), &mut Known::default(), &mut read)??;
        Ok(document)
    }

    /// Judges the reading of a document as it stands, or of one that is not there.
    pub(crate) fn decide_get(
        &self,
        path: &DocumentPath,
        document: Option<&StoredDocument>,
        known: &mut Known,
        read: ReadDocument<'_>,
    ) -> Result<Result<(), AccessDenied>, EngineError> {
        let data = document.map(stored_data).transpose()?;
        self.decide(Operation::get(path, data.as_ref()), known, read)
    }
}

/// Whether the cache knows these documents at these versions, or not to be there, and so they are the newest ones.
fn are_newest(shared: &Shared, document: &StoredDocument, known: &Known) -> bool {
    let is_newest = |path: &DocumentPath, version| {
        shared
            .cache
            .get(path)
            .is_ok_and(|cached| cached.is_some_and(|cached| Some(cached.version) == version))
    };
    is_newest(&document.path, Some(document.version))
        && known
            .versions()
            .iter()
            .all(|(path, version)| is_newest(path, *version))
}

pub(super) fn undecided() -> AccessDenied {
    AccessDenied::without_rules("the rules look up more and more documents without coming to a decision")
}
