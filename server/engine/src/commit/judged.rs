//! Commits of callers whom the rules judge.
//!
//! Every write is judged with the document as it was before the whole commit and as the whole commit leaves it; what only
//! has to be as it was (`reads`, `verify`) is judged as a get, and so is every document about which a condition does not
//! hold, because that is told only to those who may see it. All of it is allowed or denied together, before any condition
//! is spoken of: a caller who may not do what they ask for does not learn why it would have failed.
//!
//! A denial of rights that are there, or a grant of rights that have ended, cannot come of reading at different moments:
//! see `prepare_first` for the one, and [`Judgement::lookups`] for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use andiron_protocol::{
    CollectionPath, CommitBody, DocumentPath, Map, QueryRead, Source, Version, Write, WriteKind,
    data_from_json,
};
use andiron_rules::evaluate::Method;
use andiron_store::{Change, ReadCheck, Snapshot, StoreError, StoredDocument};

use super::outcome::{Committed, tells};
use super::{Unmet, Working, stored_data};
use crate::EngineError;
use crate::rules::{Judge, Known, ListJudge, Operation, ReadDocument};

/// Changes since a commit's queries were run that are gone through to find out whether these still have their results,
/// for all queries together. Beyond that they are taken to have changed: the writer must not be kept by what an old version
/// in a request brings about.
const CHANGES_PASSED_MAX: usize = 100_000;
/// Those among them that are looked into and judged.
const CHANGES_JUDGED_MAX: usize = 5_000;

/// What comes of judging a commit that may go on.
pub(super) struct Judgement {
    /// What the rules have looked up. It goes to the store with what the commit reads itself: if any of it has changed
    /// when the commit is applied, the commit is judged again, on the state that it is applied to.
    pub(super) lookups: Vec<ReadCheck>,
    /// The version up to which it is known that no query's result has changed.
    pub(super) queries_since: Option<Version>,
    /// Of each write, whether the caller must not see what it came to.
    pub(super) withheld: Vec<bool>,
}

/// Judges a commit that has been worked out.
///
/// # Errors
/// [`EngineError::PermissionDenied`] if anything of it is denied. A condition that does not hold is added to `unmet`.
pub(super) fn judge_commit(
    judge: &Judge,
    body: &CommitBody,
    working: &mut BTreeMap<&DocumentPath, Working>,
    unmet: &mut Unmet<'_>,
    read: ReadDocument<'_>,
    snapshot: Option<&dyn Snapshot>,
) -> Result<Judgement, EngineError> {
    let mut seen: BTreeMap<&DocumentPath, Option<Map>> = BTreeMap::new();
    for path in body
        .reads
        .iter()
        .map(|read| &read.path)
        .chain(unmet.paths.iter().copied())
    {
        if !seen.contains_key(path) {
            seen.insert(path, read(path)?.as_ref().map(stored_data).transpose()?);
        }
    }
    for document in working.values_mut() {
        document.look_into()?;
    }
    let working = &*working;

    let mut known = Known::default();
    for (path, document) in working {
        if let Some(after) = &document.changed {
            known.insert_after((*path).clone(), after.clone());
        }
    }
    let writes = body
        .writes
        .iter()
        .map(|write| operation(write, &working[&write.path]));
    let gets = seen
        .iter()
        .map(|(path, data)| Operation::get(path, data.as_ref()));
    let operations: Vec<_> = writes.chain(gets).collect();
    judge.decide_all(&operations, &mut known, read)??;

    let mut lookups = Vec::new();
    let queries_since = match snapshot {
        Some(snapshot) if !body.queries.is_empty() => {
            lookups = judge_queries(judge, body, unmet, read, snapshot)?;
            Some(snapshot.version()?)
        }
        _ => None,
    };

    let mut after = Known::default();
    for (path, document) in working {
        if let Some(data) = &document.changed {
            after.insert((*path).clone(), data.clone());
        }
    }
    let is_only = body.writes.len() == 1;
    let mut withheld = Vec::with_capacity(body.writes.len());
    for write in &body.writes {
        let is_withheld = if tells(write, is_only) {
            let changed = working[&write.path].changed.as_ref().and_then(Option::as_deref);
            let get = Operation::get(&write.path, changed);
            judge.decide(get, &mut after, read)?.is_err()
        } else {
            match write.kind {
                WriteKind::Create(_) => false,
                // Whether it was there.
                WriteKind::Delete => true,
                // Of a commit of several writes nobody is answered with documents.
                _ => !is_only,
            }
        };
        withheld.push(is_withheld);
    }
    lookups.extend(checks(&known).chain(checks(&after)));
    Ok(Judgement {
        lookups,
        queries_since,
        withheld,
    })
}

/// That what was looked up still is as it was.
fn checks(known: &Known) -> impl Iterator<Item = ReadCheck> {
    known.versions().iter().map(|(path, version)| ReadCheck {
        path: path.clone(),
        version: *version,
    })
}

/// What a write does, as rules see it.
fn operation<'a>(write: &'a Write, document: &'a Working) -> Operation<'a> {
    let before = document.before_data();
    let method = match (&write.kind, before) {
        (WriteKind::Verify, _) => return Operation::get(&write.path, before),
        (WriteKind::Delete, _) => Method::Delete,
        (_, Some(_)) => Method::Update,
        (_, None) => Method::Create,
    };
    let after = match method {
        Method::Delete => None,
        // What the commit deletes in the end was something all the same.
        _ => document
            .changed
            .as_ref()
            .and_then(Option::as_ref)
            .or(document.undone.as_ref())
            .map(Arc::as_ref),
    };
    Operation {
        method,
        path: &write.path,
        before,
        after,
    }
}

/// Judges the queries of a commit, and finds out whether one's result has changed for this caller. Comes back with what
/// was looked up.
///
/// The store could only say whether a document of the query has changed, be it one that the caller does not know of.
fn judge_queries(
    judge: &Judge,
    body: &CommitBody,
    unmet: &mut Unmet<'_>,
    read: ReadDocument<'_>,
    snapshot: &dyn Snapshot,
) -> Result<Vec<ReadCheck>, EngineError> {
    let mut lookups = Vec::new();
    let mut left = ChangesLeft {
        passed: CHANGES_PASSED_MAX,
        judged: CHANGES_JUDGED_MAX,
    };
    for (index, expected) in body.queries.iter().enumerate() {
        let mut list = ListJudge::begin(judge, &expected.query, read)?;
        if has_changed(&mut list, expected, &mut left, read, snapshot)? {
            unmet.add_query(EngineError::Aborted {
                detail: format!("the result of query {} has changed", index + 1),
                path: None,
            })?;
        }
        lookups.extend(checks(list.known()));
    }
    Ok(lookups)
}

/// How many changes may still be gone through for a commit.
struct ChangesLeft {
    passed: usize,
    judged: usize,
}

/// Whether a document that may be listed has come to a query's result, has changed in it or has left it after a version;
/// or more was changed than is looked at.
fn has_changed(
    list: &mut ListJudge,
    QueryRead { query, version }: &QueryRead,
    left: &mut ChangesLeft,
    read: ReadDocument<'_>,
    snapshot: &dyn Snapshot,
) -> Result<bool, EngineError> {
    let mut looked_at = BTreeSet::new();
    let mut outcome = Ok(false);
    let mut left_passed = left.passed;
    let mut examine = |change: &Change<'_>| -> Result<bool, EngineError> {
        let path = change.collection.parse::<CollectionPath>()?.document(change.id)?;
        if path.is_system() {
            return Ok(false);
        }
        if left.judged == 0 {
            return Ok(true);
        }
        left.judged -= 1;
        let before = change.before.map(|before| data_from_json(before.data.as_bytes()));
        let now = if looked_at.insert(path.clone()) {
            snapshot
                .get_stored(&path)?
                .as_ref()
                .map(stored_data)
                .transpose()?
        } else {
            None
        };
        for data in before.transpose()?.iter().chain(&now) {
            if query.matches(&path, data) && list.admits(query, &path, data, read)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let walked = snapshot.changes(*version, &mut |change| {
        if left_passed == 0 {
            outcome = Ok(true);
            return ControlFlow::Break(());
        }
        left_passed -= 1;
        if !is_of(&query.from, change.collection) {
            return ControlFlow::Continue(());
        }
        outcome = examine(&change);
        match outcome {
            Ok(false) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    });
    left.passed = left_passed;
    match walked {
        Ok(()) => outcome,
        Err(StoreError::HistoryGone { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn is_of(source: &Source, collection: &str) -> bool {
    match source {
        Source::Collection(path) => path.as_str() == collection,
        Source::Group(name) => collection.rsplit('/').next() == Some(name),
    }
}

/// Takes out of the answer to a repeated request what its caller may no longer see.
pub(super) fn withhold_from_replay(
    judge: &Judge,
    body: &CommitBody,
    committed: &mut Committed,
    read: ReadDocument<'_>,
) -> Result<(), EngineError> {
    let is_only = body.writes.len() == 1;
    for (write, outcome) in body.writes.iter().zip(&mut committed.writes) {
        if !tells(write, is_only) {
            continue;
        }
        let document = match &outcome.document {
            Some(document) => Some(document.clone()),
            None => read(&outcome.path)?,
        };
        let decided = judge.decide_get(&outcome.path, document.as_ref(), &mut Known::default(), read)?;
        if decided.is_err() {
            outcome.withhold(write);
        }
    }
    Ok(())
}

/// A document that becomes too large, told to those who may see how large it was.
pub(super) fn too_large(
    judge: Option<&Judge>,
    before: Option<&StoredDocument>,
    error: EngineError,
    read: ReadDocument<'_>,
) -> Result<EngineError, EngineError> {
    if let (Some(judge), Some(before), EngineError::DocumentTooLarge { .. }) = (judge, before, &error) {
        judge.decide_get(&before.path, Some(before), &mut Known::default(), read)??;
    }
    Ok(error)
}
