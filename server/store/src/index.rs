//! Index definitions, and the entries that a document has in an index.

use andiron_protocol::{Direction, FieldPath};
use serde::{Deserialize, Serialize};

/// The number of an index within its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexId(pub u32);

/// What an index holds: for every document of every collection of this name that has all its fields, one entry (one per
/// distinct element, where a field is indexed by its elements), ordered by the fields and then by the document's path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexDefinition {
    /// The name of the collections.
    pub collection: String,
    /// Whether entries of one collection stand together, or those of the whole group.
    pub scope: IndexScope,
    /// The fields in order; none means ordered by path alone.
    pub fields: Vec<IndexField>,
}

/// Which entries stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexScope {
    /// Entries are ordered by the collection's parent document first: serves queries of one collection.
    Collection,
    /// Entries of all collections of the name are ordered together: serves queries of the group.
    Group,
}

/// One field of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexField {
    /// The field.
    pub field: FieldPath,
    /// How it is indexed.
    pub kind: IndexFieldKind,
}

/// How a field is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexFieldKind {
    /// By its value, smallest first.
    Ascending,
    /// By its value, largest first.
    Descending,
    /// By each distinct element of its array; documents where it is no array have no entry. At most one field of a
    /// definition is of this kind.
    Elements,
}

impl IndexDefinition {
    /// The direction of the document's path at the end of an entry: that of the last field.
    pub fn path_direction(&self) -> Direction {
        match self.fields.last().map(|field| field.kind) {
            Some(IndexFieldKind::Descending) => Direction::Descending,
            _ => Direction::Ascending,
        }
    }
}
