//! Writes, transforms, preconditions and the body of a commit.

use std::sync::Arc;

use serde::Serialize;

use crate::{DocumentPath, FieldPath, Map, Query, Value, Version};

/// The body of `POST /api/v1/commit`: all of it happens at one version, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CommitBody {
    /// Documents that must not have changed since they were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Read>,
    /// Queries whose results must not have gained, lost or changed a document since they were run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<QueryRead>,
    /// What to write, judged and applied in order.
    pub writes: Vec<Write>,
}

/// A document as the client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Read {
    /// The document.
    pub path: DocumentPath,
    /// The version seen; `null` if the document was absent.
    pub version: Option<Version>,
}

/// A query as the client saw its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryRead {
    /// The query.
    pub query: Query,
    /// The version of the result.
    pub version: Version,
}

/// One write of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The document it is about.
    pub path: DocumentPath,
    /// What it does.
    pub kind: WriteKind,
    /// What must hold before it; `create` and `update` demand absence and presence by themselves.
    pub precondition: Precondition,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// Writes a document that must not exist.
    Create(WriteData),
    /// Creates or replaces.
    Set(WriteData),
    /// Sets the given fields, maps merged deeply; creates if missing.
    Merge(WriteData),
    /// Sets fields by their paths in a document that must exist. Each value replaces what stood there, whole.
    Update {
        /// New values; no path is a prefix of another.
        fields: Vec<(FieldPath, Value)>,
        /// Transforms, applied after the values. A path may lead into a map among the values, to a place where it has
        /// nothing.
        transforms: Vec<(FieldPath, Transform)>,
    },
    /// Deletes, if it is there.
    Delete,
    /// Writes nothing: only the precondition counts.
    Verify,
}

/// The data of a write: fields, and transforms at places where the fields have nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteData {
    /// The given fields without the transforms; shared, so that what a write gives a document is not copied.
    pub fields: Arc<Map>,
    /// Transforms, applied after the fields.
    pub transforms: Vec<(FieldPath, Transform)>,
}

impl From<Map> for WriteData {
    fn from(fields: Map) -> Self {
        Self {
            fields: Arc::new(fields),
            transforms: Vec::new(),
        }
    }
}

/// What must hold of a document before a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Anything goes.
    #[default]
    None,
    /// The document must exist, or must not.
    Exists(bool),
    /// The document must be at this version.
    Version(Version),
}

/// A change that depends on the value that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The time of the request, one for all its writes.
    Now,
    /// Adds a number; integers saturate, an integer with a double gives a double; what is no number is replaced.
    Increment(Value),
    /// The smaller of the two numbers, in the winner's type; the field's own if they are equal.
    Minimum(Value),
    /// The larger of the two numbers, in the winner's type; the field's own if they are equal.
    Maximum(Value),
    /// Appends those elements that the array does not have; what is no array is replaced.
    Union(Vec<Value>),
    /// Removes every element that equals one of these; what is no array becomes empty.
    Remove(Vec<Value>),
    /// Removes the field; only in merge and update.
    Delete,
}

impl WriteKind {
    /// The name on the wire, as in `create`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Set(_) => "set",
            Self::Merge(_) => "merge",
            Self::Update { .. } => "update",
            Self::Delete => "delete",
            Self::Verify => "verify",
        }
    }
}
