//! Commits: from what a caller asked for to what the store applies.

mod judged;
mod outcome;
mod working;

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::limits::DOCUMENT_BYTES_MAX;
use andiron_protocol::{
    CollectionPath, CommitBody, DocumentPath, Map, Precondition, Query, Timestamp, Write, WriteData,
    WriteKind, data_from_json, write_data_json,
};
use andiron_store::{
    Commit, DocumentPredicate, DocumentWrite, QueryCheck, ReadCheck, Snapshot, StoreError, StoredDocument,
};

use crate::access::{Access, Permit, authorize};
use crate::committer::{Committer, Prepare, Prepared};
use crate::engine::Shared;
use crate::idempotency::{self, Idempotency};
use crate::indexes::IndexSet;
use crate::rules::{Ceiling, Judge, ReadDocument, RulesInForce};
use crate::{Caller, Engine, EngineError};

pub use self::outcome::{Committed, WriteOutcome};

pub(crate) use self::outcome::{Outcomes, PendingDocument, PendingOutcome};
pub(crate) use self::working::{Working, stored_data};

/// Bytes of documents, as they were and as they become, and of changed index entries that one commit may hold.
const COMMIT_DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A commit that waits to be prepared, once or twice.
struct Request {
    body: CommitBody,
    time: Timestamp,
    idempotency: Option<Idempotency>,
    permit: Permit,
    /// The rules by which somebody else than [`Request::permit`] has judged it: it is not applied under others.
    rests_on: Option<Arc<RulesInForce>>,
    ceilings: Vec<Ceiling>,
}

impl Request {
    /// A commit that rests on nothing beside its own conditions and permit.
    fn of(body: CommitBody, time: Timestamp, idempotency: Option<Idempotency>, permit: Permit) -> Self {
        Self {
            body,
            time,
            idempotency,
            permit,
            rests_on: None,
            ceilings: Vec::new(),
        }
    }
}

impl Engine {
    /// Applies a commit: all of it, at one version, durable before this returns; or nothing.
    ///
    /// With an idempotency key (1 to 64 printable characters, for 24 hours, per caller) a second call with the same
    /// body gives the answer of the first and writes nothing.
    ///
    /// # Errors
    /// If the caller may not do one of its parts, a condition does not hold, what it read has changed, a document becomes
    /// too large, too many commits wait, or the store fails.
    pub async fn commit(
        &self,
        caller: &Caller,
        body: CommitBody,
        idempotency_key: Option<&str>,
    ) -> Result<Committed, EngineError> {
        let time = self.now();
        let permit = authorize(&self.shared, caller, accesses(&body), time)?;
        let idempotency = match idempotency_key {
            Some(key) => Some(Idempotency::new(caller, key, &body)?),
            None => None,
        };
        let request = Request::of(body, time, idempotency, permit);
        self.commit_permitted(request).await
    }

    /// Creates a document with a generated id. A retry with the same idempotency key is answered with the id that the
    /// first call generated, which [`Engine::commit`] cannot do: there the id is part of the request.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub async fn create(
        &self,
        caller: &Caller,
        collection: &CollectionPath,
        data: WriteData,
        idempotency_key: Option<&str>,
    ) -> Result<Committed, EngineError> {
        let path = collection.document(&self.generate_id())?;
        let time = self.now();
        let permit = authorize(&self.shared, caller, [Access::Write(&path)], time)?;
        let idempotency = match idempotency_key {
            Some(key) => Some(Idempotency::new(caller, key, &(collection, &data))?),
            None => None,
        };
        let write = Write {
            path,
            kind: WriteKind::Create(data),
            precondition: Precondition::None,
        };
        let body = CommitBody {
            writes: vec![write],
            ..CommitBody::default()
        };
        let request = Request::of(body, time, idempotency, permit);
        self.commit_permitted(request).await
    }

    /// Applies a commit of the server's own that these rules have let through, unless others are in force by then.
    pub(crate) async fn commit_resting_on(
        &self,
        body: CommitBody,
        rules: Option<Arc<RulesInForce>>,
        ceilings: Vec<Ceiling>,
    ) -> Result<Committed, EngineError> {
        let time = self.now();
        let permit = authorize(&self.shared, &Caller::System, accesses(&body), time)?;
        let request = Request {
            body,
            time,
            idempotency: None,
            permit,
            rests_on: rules,
            ceilings,
        };
        self.commit_permitted(request).await
    }

    /// Applies a commit whose every part is in the permit.
    async fn commit_permitted(&self, request: Request) -> Result<Committed, EngineError> {
        let request = Arc::new(request);
        let prepared = {
            let indexes = self.shared.indexes.load();
            prepare_first(&self.shared, &request, &indexes)?
        };
        match prepared {
            Prepared::Replay(committed) => Ok(committed),
            prepared => {
                let again = prepare_again(request);
                self.committer.commit(prepared, again).await
            }
        }
    }
}

/// A commit of the server's own, from a thread that may block.
pub(crate) fn commit_blocking(
    shared: &Arc<Shared>,
    committer: &Committer,
    body: CommitBody,
) -> Result<Committed, EngineError> {
    let time = (shared.surroundings.now)();
    let permit = authorize(shared, &Caller::System, accesses(&body), time)?;
    let request = Arc::new(Request::of(body, time, None, permit));
    let prepared = {
        let indexes = shared.indexes.load();
        prepare_first(shared, &request, &indexes)?
    };
    let again = prepare_again(request);
    committer.commit_blocking(prepared, again)
}

/// Everything that a commit does, to be authorized.
fn accesses(body: &CommitBody) -> impl Iterator<Item = Access<'_>> {
    let writes = body.writes.iter().map(|write| Access::Write(&write.path));
    let reads = body.reads.iter().map(|read| Access::Get(&read.path));
    let queries = body.queries.iter().map(|read| Access::List(&read.query.from));
    writes.chain(reads).chain(queries)
}

/// Prepares a commit on the caller's thread.
///
/// Documents come from the cache, one after the other, and so may never have stood beside each other. For what is let
/// through that does not matter: the store checks that all of them are as they were seen. A refusal nobody checks; so
/// those who can be denied something are refused by what one snapshot has.
fn prepare_first(
    shared: &Shared,
    request: &Arc<Request>,
    indexes: &IndexSet,
) -> Result<Prepared, EngineError> {
    let judge = request.permit.judge();
    if judge.is_none() || request.body.queries.is_empty() {
        let mut read = |path: &DocumentPath| shared.get(path);
        let prepared = prepare(request, judge, &mut read, None, indexes, Attempt::Optimistic);
        match prepared {
            Err(EngineError::Store(_)) | Ok(_) => return prepared,
            Err(_) if judge.is_none() => return prepared,
            Err(_) => {}
        }
    }
    let snapshot = shared.store.snapshot()?;
    prepare_exactly(request, judge, snapshot.as_ref(), indexes)
}

/// What the writer calls when the state has moved on.
fn prepare_again(request: Arc<Request>) -> Prepare {
    Box::new(move |snapshot, indexes, rules| {
        if let Some(rests_on) = &request.rests_on
            && !rules.is_some_and(|rules| Arc::ptr_eq(rests_on, rules))
        {
            return Err(EngineError::Aborted {
                detail: "the rules have changed since it was judged".to_owned(),
                path: None,
            });
        }
        let judge = request
            .permit
            .judge()
            .map(|judge| judge.under(rules))
            .transpose()?;
        prepare_exactly(&request, judge.as_ref(), snapshot, indexes)
    })
}

fn prepare_exactly(
    request: &Arc<Request>,
    judge: Option<&Judge>,
    snapshot: &dyn Snapshot,
    indexes: &IndexSet,
) -> Result<Prepared, EngineError> {
    let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
    prepare(request, judge, &mut read, Some(snapshot), indexes, Attempt::Exact)
}

#[derive(Clone, Copy, PartialEq)]
enum Attempt {
    /// Documents to be created are taken to be absent without a look: if one is there after all, the store says so and
    /// the commit is prepared exactly.
    Optimistic,
    /// Every document is read.
    Exact,
}

fn prepare(
    request: &Arc<Request>,
    judge: Option<&Judge>,
    read: ReadDocument<'_>,
    snapshot: Option<&dyn Snapshot>,
    indexes: &IndexSet,
    attempt: Attempt,
) -> Result<Prepared, EngineError> {
    let body = &request.body;
    // Read once: a record that is written while this commit is prepared must show as a conflict, not as one to be
    // written over.
    let record_before = match &request.idempotency {
        Some(idempotency) => read(idempotency.path())?,
        None => None,
    };
    if let (Some(idempotency), Some(record)) = (&request.idempotency, &record_before)
        && let Some(mut committed) = idempotency.replay(record, request.time)?
    {
        if let Some(judge) = judge {
            judged::withhold_from_replay(judge, body, &mut committed, read)?;
        }
        return Ok(Prepared::Replay(committed));
    }
    // The first condition that does not hold. Those who are judged are told of it only if they may do all that they
    // asked for, and see what it was about.
    let mut unmet = Unmet::new(judge.is_none());
    for expected in &body.reads {
        if read(&expected.path)?.map(|document| document.version) != expected.version {
            unmet.add(
                &expected.path,
                EngineError::Aborted {
                    detail: format!("`{}` has changed since it was read", expected.path),
                    path: Some(expected.path.clone()),
                },
            )?;
        }
    }
    let mut working: BTreeMap<&DocumentPath, Working> = BTreeMap::new();
    let mut results = Vec::with_capacity(body.writes.len());
    for write in &body.writes {
        let document = match working.entry(&write.path) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let is_create = matches!(write.kind, WriteKind::Create(_));
                let before = if is_create && attempt == Attempt::Optimistic {
                    None
                } else {
                    read(&write.path)?
                };
                entry.insert(Working::new(before))
            }
        };
        let applied = match document.apply(write, request.time)? {
            Ok(applied) => applied,
            Err(reason) => {
                let path = write.path.clone();
                unmet.add(&write.path, EngineError::Apply { path, reason })?;
                document.apply_regardless(write, request.time)?
            }
        };
        results.push(applied);
    }
    let judgement = match judge {
        Some(judge) => Some(judged::judge_commit(
            judge,
            body,
            &mut working,
            &mut unmet,
            read,
            snapshot,
        )?),
        None => None,
    };
    unmet.into_result()?;
    for ceiling in &request.ceilings {
        let after = working
            .get(&ceiling.path)
            .and_then(|document| document.changed.as_ref());
        ceiling.check(after.and_then(Option::as_deref))?;
    }
    let mut commit = Commit::default();
    let mut bytes = 0;
    for (path, document) in working {
        match document.changed {
            Some(after) => {
                let before = judge.and_then(|_| document.before.clone());
                let write = match document_write(path, document.before, after.as_deref(), indexes) {
                    Ok(write) => write,
                    Err(error) => return Err(judged::too_large(judge, before.as_ref(), error, read)?),
                };
                bytes += write.after.as_ref().map_or(0, |data| data.len());
                bytes += write.before.as_ref().map_or(0, |before| before.data.len());
                bytes += write.entries.iter().map(|entry| entry.key.len()).sum::<usize>();
                if bytes > COMMIT_DOCUMENT_BYTES_MAX {
                    return Err(EngineError::CommitTooLarge {
                        bytes_max: COMMIT_DOCUMENT_BYTES_MAX,
                    });
                }
                commit.writes.push(write);
            }
            // Only verified: what it was judged by must still hold.
            None => commit.reads.push(ReadCheck {
                path: path.clone(),
                version: document.before.map(|document| document.version),
            }),
        }
    }
    commit.reads.extend(body.reads.iter().map(|expected| ReadCheck {
        path: expected.path.clone(),
        version: expected.version,
    }));
    let (queries_since, withheld) = match judgement {
        Some(judgement) => {
            commit.reads.extend(judgement.lookups);
            (judgement.queries_since, judgement.withheld)
        }
        None => (None, Vec::new()),
    };
    commit
        .queries
        .extend(body.queries.iter().map(|expected| QueryCheck {
            source: expected.query.from.clone(),
            version: queries_since.unwrap_or(expected.version),
            matches: query_predicate(expected.query.clone()),
        }));
    let outcomes = Outcomes::new(body, results, &commit, &withheld);
    if let Some(idempotency) = &request.idempotency {
        let record = idempotency.record(&outcomes, request.time);
        commit.writes.push(document_write(
            idempotency.path(),
            record_before,
            Some(&record),
            indexes,
        )?);
    }
    Ok(Prepared::Commit {
        commit,
        index_epoch: indexes.epoch(),
        judged_by: judge
            .map(|judge| Arc::clone(judge.rules()))
            .or_else(|| request.rests_on.clone()),
        bytes,
        request_time: request.time,
        answer: Box::new(move |version| outcomes.at(version)),
    })
}

/// The conditions of a commit that do not hold.
pub(crate) struct Unmet<'b> {
    /// Whether the first one ends everything.
    is_told_at_once: bool,
    first: Option<EngineError>,
    /// The documents that they are about.
    pub(crate) paths: Vec<&'b DocumentPath>,
}

impl<'b> Unmet<'b> {
    fn new(is_told_at_once: bool) -> Self {
        Self {
            is_told_at_once,
            first: None,
            paths: Vec::new(),
        }
    }

    /// Takes note of one about a document.
    fn add(&mut self, path: &'b DocumentPath, error: EngineError) -> Result<(), EngineError> {
        self.paths.push(path);
        self.add_query(error)
    }

    /// Takes note of one about a query.
    pub(crate) fn add_query(&mut self, error: EngineError) -> Result<(), EngineError> {
        if self.is_told_at_once {
            return Err(error);
        }
        self.first.get_or_insert(error);
        Ok(())
    }

    fn into_result(self) -> Result<(), EngineError> {
        self.first.map_or(Ok(()), Err)
    }
}

fn document_write(
    path: &DocumentPath,
    before: Option<StoredDocument>,
    after: Option<&Map>,
    indexes: &IndexSet,
) -> Result<DocumentWrite, EngineError> {
    let name = path.collection_str().rsplit('/').next().unwrap_or_default();
    let indexes = indexes.of_collection(name);
    let mut entries = Vec::new();
    if !indexes.is_empty() {
        let before = before.as_ref().map(stored_data).transpose()?;
        for index in indexes {
            entries.extend(
                index
                    .definition
                    .entry_changes(index.id, path, before.as_ref(), after),
            );
        }
    }
    let after = match after {
        Some(data) => {
            let mut json = Vec::with_capacity(256);
            write_data_json(data, &mut json);
            // The system's own records may hold a whole document and more.
            if json.len() > DOCUMENT_BYTES_MAX && !path.is_system() {
                return Err(EngineError::DocumentTooLarge {
                    path: path.clone(),
                    bytes: json.len(),
                    bytes_max: DOCUMENT_BYTES_MAX,
                });
            }
            let json = String::from_utf8(json).map_err(|_| StoreError::Corrupt {
                detail: format!("the new data of `{path}` is not UTF-8"),
            })?;
            Some(Arc::from(json))
        }
        None => None,
    };
    Ok(DocumentWrite {
        path: path.clone(),
        before,
        after,
        entries,
    })
}

/// Whether a change to a document touches a query's result: limit and offset are left aside, so that every document
/// that could have moved into view counts.
fn query_predicate(query: Query) -> DocumentPredicate {
    // Data that cannot be read is taken as a match: the commit is then aborted rather than let through.
    Arc::new(move |path, json| {
        data_from_json(json.as_bytes()).map_or(true, |data| query.matches(path, &data))
    })
}

/// The collection that records of idempotency stand in, and whatever else `prepare` reads for itself.
pub(crate) use idempotency::COLLECTION as IDEMPOTENCY_COLLECTION;
