//! What is judged: a request with everything that rules may ask of it, and the documents that they look up.
//!
//! A [`Request`] borrows all of its parts, so that making one costs nothing. Whether what it says is true is the caller's
//! to know: that `before` is the document at the same version as the [`Documents`], that `after` is complete, with all
//! transforms applied, that a `create` has no document before it.

use std::collections::HashMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map as StoredMap, Query, Source, Timestamp};
use smallvec::SmallVec;

use super::value::{Map, Object, Value};
use crate::syntax::{OperationKind, ServiceKind};

/// The name of the one database that Firebase's projects start with.
pub const DATABASE_DEFAULT: &str = "(default)";

/// What is done to one document or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reading one.
    Get,
    /// Reading it as one of many: queries, counts, listening to them.
    List,
    /// Writing what was not there; for files, every upload.
    Create,
    /// Writing what was there; for files, a change of metadata.
    Update,
    /// Deleting.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::List, Self::Create, Self::Update, Self::Delete];

    /// As `request.method` says it.
    pub fn as_str(self) -> &'static str {
        self.operation().as_str()
    }

    /// The operation that an `allow` must cover.
    pub fn operation(self) -> OperationKind {
        match self {
            Self::Get => OperationKind::Get,
            Self::List => OperationKind::List,
            Self::Create => OperationKind::Create,
            Self::Update => OperationKind::Update,
            Self::Delete => OperationKind::Delete,
        }
    }

    /// Whether it writes.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A document.
    Document {
        /// The database's name; see [`DATABASE_DEFAULT`].
        database: &'a str,
        /// Its path.
        path: &'a DocumentPath,
    },
    /// A file.
    File {
        /// The bucket.
        bucket: &'a str,
        /// The whole name, slashes included.
        name: &'a str,
    },
    /// An account.
    Account {
        /// `accounts/UID`.
        path: &'a DocumentPath,
    },
}

impl<'a> Target<'a> {
    /// Whose rules judge it.
    pub fn service(self) -> ServiceKind {
        match self {
            Self::Document { .. } => ServiceKind::Firestore,
            Self::File { .. } => ServiceKind::Storage,
            Self::Account { .. } => ServiceKind::Accounts,
        }
    }

    /// The whole path that patterns are matched with.
    pub(crate) fn segments(self) -> SmallVec<[&'a str; 12]> {
        match self {
            Self::Document { database, path } => ["databases", database, "documents"]
                .into_iter()
                .chain(path.segments())
                .collect(),
            Self::File { bucket, name } => ["b", bucket, "o"].into_iter().chain(name.split('/')).collect(),
            Self::Account { path } => path.segments().collect(),
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Auth<'a> {
    /// The account's id.
    pub uid: &'a str,
    /// Every claim of the token.
    pub token: &'a StoredMap,
}

/// An operation on one document, file or account.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// On what.
    pub target: Target<'a>,
    /// Which operation.
    pub method: Method,
    /// By whom; `None` if nobody has signed in.
    pub auth: Option<Auth<'a>>,
    /// When; the moment that the commit's server timestamps have too.
    pub time: Timestamp,
    /// The data of the document before the request, or the file's metadata; `None` if it does not exist.
    pub before: Option<&'a StoredMap>,
    /// The same after the request, for `create` and `update`.
    pub after: Option<&'a StoredMap>,
    /// The query, for `list`.
    pub query: Option<&'a Query>,
}

impl<'a> Request<'a> {
    /// The name of the database that paths are about.
    pub(crate) fn database(&self) -> &'a str {
        match self.target {
            Target::Document { database, .. } => database,
            Target::File { .. } | Target::Account { .. } => DATABASE_DEFAULT,
        }
    }

    /// `resource` or `request.resource`.
    pub(crate) fn resource_of(&self, data: Option<&'a StoredMap>) -> Value<'a> {
        match (data, self.target) {
            (None, _) => Value::Null,
            (Some(data), Target::Document { path, .. } | Target::Account { path }) => {
                Value::Object(Object::Document { path, data })
            }
            (Some(metadata), Target::File { .. }) => Value::Map(Map::Stored(metadata)),
        }
    }

    /// Whether it is a query over every collection of a name.
    pub(crate) fn is_group_query(&self) -> bool {
        self.method == Method::List
            && self
                .query
                .is_some_and(|query| matches!(query.from, Source::Group(_)))
    }
}

/// The documents that are known while a request is judged: those that exist and those that do not.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    current: HashMap<DocumentPath, Option<Arc<StoredMap>>>,
    after: HashMap<DocumentPath, Option<Arc<StoredMap>>>,
}

impl Documents {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a document known as it is before the commit; `None` if it does not exist.
    pub fn insert(&mut self, path: DocumentPath, data: Option<Arc<StoredMap>>) {
        self.current.insert(path, data);
    }

    /// Makes a document known as the whole commit will leave it; `None` if it will not exist. Every document that the
    /// commit writes is to be made known so before anything of the commit is judged: `getAfter` of any other document is
    /// taken to be what `get` gives.
    pub fn insert_after(&mut self, path: DocumentPath, data: Option<Arc<StoredMap>>) {
        self.after.insert(path, data);
    }

    /// Whether this document is known as it is before the commit.
    pub fn contains(&self, path: &DocumentPath) -> bool {
        self.current.contains_key(path)
    }

    /// The document before the commit: `None` if that is not known.
    pub(crate) fn find(&self, path: &DocumentPath) -> Option<Found<'_>> {
        found(&self.current, path)
    }

    /// The document after the commit, if the commit writes it.
    pub(crate) fn find_after(&self, path: &DocumentPath) -> Option<Found<'_>> {
        found(&self.after, path)
    }
}

/// A document that is known: `None` if it does not exist.
pub(crate) type Found<'a> = Option<(&'a DocumentPath, &'a StoredMap)>;

fn found<'a>(
    documents: &'a HashMap<DocumentPath, Option<Arc<StoredMap>>>,
    path: &DocumentPath,
) -> Option<Found<'a>> {
    let (path, data) = documents.get_key_value(path)?;
    Some(data.as_deref().map(|data| (path, data)))
}
