//! What a commit did: worked out while it is prepared, complete once its version is known.

use std::sync::Arc;

use andiron_protocol::{CommitBody, DocumentPath, FieldPath, Transform, Value, Version, Write, WriteKind};
use andiron_store::{Commit, DocumentWrite, StoredDocument};

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
    /// The document after the whole commit, if this commit wrote it; in a replay only if it was the only one. Callers
    /// whom the rules judge are given what they may read, and of several writes only what stood in no doubt.
    pub document: Option<StoredDocument>,
    /// Whether the document existed before the commit; false if the caller must not know.
    pub existed: bool,
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
    /// The caller must not see it.
    Withheld,
    /// The commit writes it.
    Written {
        /// Since when it exists; `None`: since this commit.
        created: Option<Version>,
        /// Its data.
        data: Arc<str>,
    },
}

impl Outcomes {
    /// `withheld` says of each write whether the caller must not see what it came to; without entries all is seen.
    pub(super) fn new(
        body: &CommitBody,
        results: Vec<Vec<(FieldPath, Value)>>,
        commit: &Commit,
        withheld: &[bool],
    ) -> Self {
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
            .enumerate()
            .map(|(index, (write, mut results))| {
                if withheld.get(index) == Some(&true) {
                    results.retain(|(field, _)| is_independent(write, field));
                    return PendingOutcome {
                        path: write.path.clone(),
                        results,
                        document: PendingDocument::Withheld,
                        existed: false,
                    };
                }
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

    pub(super) fn at(self, version: Version) -> Committed {
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
            PendingDocument::Unchanged | PendingDocument::Deleted | PendingDocument::Withheld => None,
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

impl WriteOutcome {
    /// Takes out what tells of the document.
    pub(super) fn withhold(&mut self, write: &Write) {
        self.results.retain(|(field, _)| is_independent(write, field));
        self.document = None;
        self.existed = false;
    }
}

/// Whether a write's transform of a field gives what it gives whatever the document was.
fn is_independent(write: &Write, field: &FieldPath) -> bool {
    match &write.kind {
        // These transform what the caller has sent.
        WriteKind::Create(_) | WriteKind::Set(_) => true,
        WriteKind::Merge(data) => is_now(&data.transforms, field),
        WriteKind::Update { transforms, .. } => is_now(transforms, field),
        WriteKind::Delete | WriteKind::Verify => true,
    }
}

fn is_now(transforms: &[(FieldPath, Transform)], field: &FieldPath) -> bool {
    transforms
        .iter()
        .any(|(path, transform)| path == field && *transform == Transform::Now)
}

/// Whether what a write came to tells of the document as it was: of what only the rules can say who may see it.
pub(super) fn tells(write: &Write, is_only: bool) -> bool {
    match &write.kind {
        // There was nothing before, so all of it is what the caller has sent.
        WriteKind::Create(_) => false,
        // When the document was created, and whether it was there.
        WriteKind::Set(_) => is_only,
        WriteKind::Merge(data) => is_only || data.transforms.iter().any(|(_, transform)| is_shown(transform)),
        WriteKind::Update { transforms, .. } => {
            is_only || transforms.iter().any(|(_, transform)| is_shown(transform))
        }
        WriteKind::Delete | WriteKind::Verify => false,
    }
}

/// Whether a transform has a result that depends on the field.
fn is_shown(transform: &Transform) -> bool {
    matches!(
        transform,
        Transform::Increment(_) | Transform::Minimum(_) | Transform::Maximum(_)
    )
}
