//! Commits: from what a caller asked for to what the store applies.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::limits::DOCUMENT_BYTES_MAX;
use andiron_protocol::{
    CollectionPath, CommitBody, DocumentPath, FieldPath, Map, Precondition, Query, Timestamp, Value, Version,
    Write, WriteData, WriteKind, apply_write, data_from_json, write_data_json,
};
use andiron_store::{
    Commit, DocumentPredicate, DocumentWrite, QueryCheck, ReadCheck, Snapshot, StoreError, StoredDocument,
};

use crate::access::{Access, authorize};
use crate::committer::{Committer, Prepare, Prepared};
use crate::engine::Shared;
use crate::idempotency::{self, Idempotency};
use crate::indexes::IndexSet;
use crate::{Caller, Engine, EngineError};

/// What stands for the version of a document that an earlier write of the same commit has changed: no commit has it.
const VERSION_UNDER_WAY: i64 = i64::MAX;

/// Bytes of documents, as they were and as they become, and of changed index entries that one commit may hold.
const COMMIT_DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a commit did.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The commit's version.
    pub version: Version,
    /// One for each write, in the order of the writes.
    pub writes: Vec<WriteOutcome>,
    /// Whether this is the answer of an earlier commit with the same `Idempotency-Key`.
    pub is_replay: bool,
}

/// What one write did.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOutcome {
    /// The document.
    pub path: DocumentPath,
    /// What those transforms gave that depend on the server or on the field.
    pub results: Vec<(FieldPath, Value)>,
    /// The document after the whole commit, if this commit wrote it; in a replay only if it was the only one.
    pub document: Option<StoredDocument>,
    /// Whether the document existed before the commit.
    pub existed: bool,
}

/// A commit that waits to be prepared, once or twice.
struct Request {
    body: CommitBody,
    time: Timestamp,
    idempotency: Option<Idempotency>,
}

/// How a document is read while a commit is prepared.
type ReadDocument<'r> = &'r mut dyn FnMut(&DocumentPath) -> Result<Option<StoredDocument>, EngineError>;

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
        for write in &body.writes {
            authorize(caller, Access::Write(&write.path))?;
        }
        for read in &body.reads {
            authorize(caller, Access::Get(&read.path))?;
        }
        for read in &body.queries {
            authorize(caller, Access::List(&read.query.from))?;
        }
        if body.writes.is_empty() && body.reads.is_empty() && body.queries.is_empty() {
            // Nothing of it has been put to anybody, yet it tells the newest version, and its key would be kept.
            authorize(caller, Access::Administer)?;
        }
        let idempotency = match idempotency_key {
            Some(key) => Some(Idempotency::new(caller, key, &body)?),
            None => None,
        };
        self.commit_authorized(body, idempotency).await
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
        authorize(caller, Access::Write(&path))?;
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
        self.commit_authorized(body, idempotency).await
    }

    /// Applies a commit of which every part has been put to [`authorize`].
    async fn commit_authorized(
        &self,
        body: CommitBody,
        idempotency: Option<Idempotency>,
    ) -> Result<Committed, EngineError> {
        let request = Arc::new(Request {
            body,
            time: self.now(),
            idempotency,
        });
        let prepared = {
            let indexes = self.shared.indexes.load();
            let mut read = |path: &DocumentPath| self.shared.get(path);
            prepare(&request, &mut read, &indexes, Attempt::Optimistic)?
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
    let request = Arc::new(Request {
        body,
        time,
        idempotency: None,
    });
    let prepared = {
        let indexes = shared.indexes.load();
        prepare(
            &request,
            &mut |path| shared.get(path),
            &indexes,
            Attempt::Optimistic,
        )?
    };
    let again = prepare_again(request);
    committer.commit_blocking(prepared, again)
}

/// What the writer calls when the state has moved on.
fn prepare_again(request: Arc<Request>) -> Prepare {
    Box::new(move |snapshot: &dyn Snapshot, indexes: &IndexSet| {
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        prepare(&request, &mut read, indexes, Attempt::Exact)
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Attempt {
    /// Documents to be created are taken to be absent without a look: if one is there after all, the store says so and
    /// the commit is prepared exactly.
    Optimistic,
    /// Every document is read.
    Exact,
}

/// A document while the writes of a commit pass over it.
struct Working {
    before: Option<StoredDocument>,
    /// The data as the writes so far have left it; unset while no write has changed it.
    changed: Option<Option<Map>>,
}

fn prepare(
    request: &Arc<Request>,
    read: ReadDocument<'_>,
    indexes: &IndexSet,
    attempt: Attempt,
) -> Result<Prepared, EngineError> {
    if let Some(idempotency) = &request.idempotency
        && let Some(record) = read(idempotency.path())?
        && let Some(committed) = idempotency.replay(&record, request.time)?
    {
        return Ok(Prepared::Replay(committed));
    }
    let body = &request.body;
    for expected in &body.reads {
        if read(&expected.path)?.map(|document| document.version) != expected.version {
            return Err(EngineError::Aborted {
                detail: format!("`{}` has changed since it was read", expected.path),
                path: Some(expected.path.clone()),
            });
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
                entry.insert(Working {
                    before,
                    changed: None,
                })
            }
        };
        results.push(document.apply(write, request.time)?);
    }
    let mut commit = Commit::default();
    let mut bytes = 0;
    for (path, document) in working {
        match document.changed {
            Some(after) => {
                let write = document_write(path, document.before, after, indexes)?;
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
    commit
        .queries
        .extend(body.queries.iter().map(|expected| QueryCheck {
            source: expected.query.from.clone(),
            version: expected.version,
            matches: query_predicate(expected.query.clone()),
        }));
    let outcomes = Outcomes::new(body, results, &commit);
    if let Some(idempotency) = &request.idempotency {
        let record = idempotency.record(&outcomes, request.time);
        let before = read(idempotency.path())?;
        commit
            .writes
            .push(document_write(idempotency.path(), before, Some(record), indexes)?);
    }
    Ok(Prepared::Commit {
        commit,
        index_epoch: indexes.epoch(),
        bytes,
        request_time: request.time,
        answer: Box::new(move |version| outcomes.at(version)),
    })
}

impl Working {
    fn apply(&mut self, write: &Write, now: Timestamp) -> Result<Vec<(FieldPath, Value)>, EngineError> {
        // Only merge and update look at what stands there, so only they have it parsed.
        let is_looked_at = matches!(write.kind, WriteKind::Merge(_) | WriteKind::Update { .. });
        let parsed;
        let nothing = Map::new();
        let before = match (&self.changed, &self.before) {
            (Some(changed), _) => changed
                .as_ref()
                .map(|data| (Version::from_micros(VERSION_UNDER_WAY), data)),
            (None, Some(document)) if is_looked_at => {
                parsed = stored_data(document)?;
                Some((document.version, &parsed))
            }
            (None, Some(document)) => Some((document.version, &nothing)),
            (None, None) => None,
        };
        let applied = apply_write(write, before, now).map_err(|reason| EngineError::Apply {
            path: write.path.clone(),
            reason,
        })?;
        match write.kind {
            WriteKind::Verify => {}
            // Deleting what is not there changes nothing, but its absence was seen.
            WriteKind::Delete if before.is_none() => {}
            _ => self.changed = Some(applied.after),
        }
        Ok(applied.results)
    }
}

/// A stored document's data, which the engine has checked when it was written.
pub(crate) fn stored_data(document: &StoredDocument) -> Result<Map, EngineError> {
    data_from_json(document.data.as_bytes()).map_err(|error| {
        StoreError::Corrupt {
            detail: format!("the data of `{}` is not value JSON: {error}", document.path),
        }
        .into()
    })
}

fn document_write(
    path: &DocumentPath,
    before: Option<StoredDocument>,
    after: Option<Map>,
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
                    .entry_changes(index.id, path, before.as_ref(), after.as_ref()),
            );
        }
    }
    let after = match after {
        Some(data) => {
            let mut json = Vec::with_capacity(256);
            write_data_json(&data, &mut json);
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

/// What the answer needs, until the version is known.
pub(crate) struct Outcomes {
    pub(crate) writes: Vec<PendingOutcome>,
}

/// One write's part of the answer, until the version is known.
pub(crate) struct PendingOutcome {
    pub(crate) path: DocumentPath,
    pub(crate) results: Vec<(FieldPath, Value)>,
    pub(crate) document: PendingDocument,
    pub(crate) existed: bool,
}

/// A document after the commit, until the version is known.
pub(crate) enum PendingDocument {
    /// The commit does not change it.
    Unchanged,
    /// The commit deletes it.
    Deleted,
    /// The commit writes it.
    Written {
        /// Since when it exists; `None`: since this commit.
        created: Option<Version>,
        /// Its data.
        data: Arc<str>,
    },
}

impl Outcomes {
    fn new(body: &CommitBody, results: Vec<Vec<(FieldPath, Value)>>, commit: &Commit) -> Self {
        // The writes of a commit stand in the order of their paths.
        let find = |path: &DocumentPath| {
            commit
                .writes
                .binary_search_by(|write| write.path.cmp(path))
                .ok()
                .and_then(|at| commit.writes.get(at))
        };
        let writes = body
            .writes
            .iter()
            .zip(results)
            .map(|(write, results)| {
                let change = find(&write.path);
                let document = match change {
                    None => PendingDocument::Unchanged,
                    Some(DocumentWrite { after: None, .. }) => PendingDocument::Deleted,
                    Some(DocumentWrite {
                        before,
                        after: Some(data),
                        ..
                    }) => PendingDocument::Written {
                        created: before.as_ref().map(|before| before.created),
                        data: Arc::clone(data),
                    },
                };
                let existed = change.is_some_and(|change| change.before.is_some());
                PendingOutcome {
                    path: write.path.clone(),
                    results,
                    document,
                    existed,
                }
            })
            .collect();
        Self { writes }
    }

    fn at(self, version: Version) -> Committed {
        let writes = self
            .writes
            .into_iter()
            .map(|outcome| outcome.at(version))
            .collect();
        Committed {
            version,
            writes,
            is_replay: false,
        }
    }
}

impl PendingOutcome {
    fn at(self, version: Version) -> WriteOutcome {
        let document = match self.document {
            PendingDocument::Unchanged | PendingDocument::Deleted => None,
            PendingDocument::Written { created, data } => Some(StoredDocument {
                path: self.path.clone(),
                version,
                created: created.unwrap_or(version),
                data,
            }),
        };
        WriteOutcome {
            path: self.path,
            results: self.results,
            document,
            existed: self.existed,
        }
    }
}

/// The collection that records of idempotency stand in, and whatever else `prepare` reads for itself.
pub(crate) use idempotency::COLLECTION as IDEMPOTENCY_COLLECTION;
