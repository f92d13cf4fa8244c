//! Document and collection paths, checked once where they enter.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::InputError;
use crate::error::excerpt;
use crate::limits::{ID_BYTES_MAX, PATH_BYTES_MAX, PATH_SEGMENTS_MAX};

/// Checks one segment of a path: 1 to 1,500 bytes, no `/` and no NUL, not `.`, `..` nor `__…__`.
///
/// # Errors
/// Says which of these is violated.
pub fn check_id(id: &str) -> Result<(), InputError> {
    let problem = if id.is_empty() {
        "is empty"
    } else if id.len() > ID_BYTES_MAX {
        "is longer than 1500 bytes"
    } else if id.contains('/') {
        "contains a slash"
    } else if id.contains('\0') {
        "contains a NUL character"
    } else if id == "." || id == ".." {
        "is `.` or `..`"
    } else if is_reserved(id) {
        "begins and ends with two underscores, which is reserved"
    } else {
        return Ok(());
    };
    Err(InputError::new(format!("the id `{}` {problem}", excerpt(id))))
}

/// Names of this form are kept for the system, in ids and in field names.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.len() >= 4 && name.starts_with("__") && name.ends_with("__")
}

fn check_path(path: &str, kind: &str, parity: usize) -> Result<(), InputError> {
    let fail = |detail: String| {
        Err(InputError::new(format!(
            "`{}` is not a {kind} path: {detail}",
            excerpt(path)
        )))
    };
    if path.len() > PATH_BYTES_MAX {
        return fail(format!("it is longer than {PATH_BYTES_MAX} bytes"));
    }
    let mut segments = 0;
    for segment in path.split('/') {
        segments += 1;
        if let Err(error) = check_id(segment) {
            return fail(error.detail);
        }
    }
    if segments > PATH_SEGMENTS_MAX {
        return fail(format!("it has more than {PATH_SEGMENTS_MAX} segments"));
    }
    if segments % 2 != parity {
        return fail(format!(
            "it has {segments} segment{}, and a {kind} path has an {} number of them",
            if segments == 1 { "" } else { "s" },
            if parity == 0 { "even" } else { "odd" }
        ));
    }
    Ok(())
}

/// Paths order segment by segment, each by its UTF-8 bytes.
fn compare_paths(left: &str, right: &str) -> Ordering {
    left.split('/').cmp(right.split('/'))
}

macro_rules! path_type {
    ($name:ident, $kind:literal, $parity:literal) => {
        impl $name {
            /// The path as it is written, segments joined by `/`.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The segments in order.
            pub fn segments(&self) -> std::str::Split<'_, char> {
                self.0.split('/')
            }

            /// Whether some collection on the way begins with `_`: those are the system's own.
            pub fn is_system(&self) -> bool {
                self.segments()
                    .step_by(2)
                    .any(|collection| collection.starts_with('_'))
            }
        }

        impl FromStr for $name {
            type Err = InputError;

            fn from_str(path: &str) -> Result<Self, InputError> {
                check_path(path, $kind, $parity)?;
                Ok(Self(Arc::from(path)))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                compare_paths(&self.0, &other.0)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
    };
}

/// The path of a document: an even number of segments, as in `posts/p1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DocumentPath(Arc<str>);

/// The path of a collection: an odd number of segments, as in `posts` or `posts/p1/comments`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CollectionPath(Arc<str>);

path_type!(DocumentPath, "document", 0);
path_type!(CollectionPath, "collection", 1);

impl DocumentPath {
    /// The document's id: the last segment.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path of the collection that holds the document.
    pub fn collection(&self) -> CollectionPath {
        CollectionPath(Arc::from(self.collection_str()))
    }

    /// The path of the collection that holds the document, as text.
    pub fn collection_str(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(collection, _)| collection)
    }

    /// A collection under this document.
    ///
    /// # Errors
    /// If `name` is not a valid id or the path becomes too long.
    pub fn child(&self, name: &str) -> Result<CollectionPath, InputError> {
        check_id(name)?;
        format!("{self}/{name}").parse()
    }
}

impl CollectionPath {
    /// The collection's name: the last segment. Collections of one name form a group.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The document that this collection stands under, unless it is a root collection.
    pub fn parent(&self) -> Option<DocumentPath> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| DocumentPath(Arc::from(parent)))
    }

    /// A document of this collection.
    ///
    /// # Errors
    /// If `id` is not a valid id or the path becomes too long.
    pub fn document(&self, id: &str) -> Result<DocumentPath, InputError> {
        check_id(id)?;
        format!("{self}/{id}").parse()
    }
}
