//! Index definitions, and the entries that a document has in an index.
//!
//! The key of an entry is, in the encoding of [`key`](crate::key):
//!
//! - scope `Collection`: the path of the parent document (empty for a root collection), the fields, the document's id;
//! - scope `Group`: the fields, the document's whole path.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use andiron_protocol::limits::ORDER_BY_FIELDS_MAX;
use andiron_protocol::{Direction, DocumentPath, FieldPath, InputError, Map, Source, Value, check_id};
use serde::{Deserialize, Serialize};

use crate::EntryChange;
use crate::key::{
    decode_id, decode_path, encode_element_overflow, encode_id, encode_path, encode_value, read_value,
};

/// Distinct elements of one array that an index takes. A document with more has one entry instead, in the place of all
/// elements ([`encode_element_overflow`]): so a query by element reads that place too and looks into the documents that
/// it finds there. Without this bound one document of 1 MiB could have 150,000 entries, a second of the writer's time,
/// each with a copy of a path of up to 6 KiB.
pub const ELEMENT_ENTRIES_MAX: usize = 1000;
/// Room for a key at first: enough for most.
const KEY_BYTES_USUAL: usize = 64;
/// Fields of one index.
pub const INDEX_FIELDS_MAX: usize = ORDER_BY_FIELDS_MAX;

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
    /// By each distinct element of its array, smallest first; documents where it is no array, or an empty one, have no
    /// entry, and documents with more than [`ELEMENT_ENTRIES_MAX`] have one for all ([`encode_element_overflow`]). At
    /// most one field of a definition is of this kind.
    Elements,
}

impl IndexDefinition {
    /// Checks what the types cannot say: names, and how many fields of which kind.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), InputError> {
        check_id(&self.collection)?;
        let fail = |detail: String| {
            Err(InputError::new(format!(
                "the index on `{}` {detail}",
                self.collection
            )))
        };
        if self.fields.len() > INDEX_FIELDS_MAX {
            return fail(format!("has more than {INDEX_FIELDS_MAX} fields"));
        }
        let elements = |field: &&IndexField| field.kind == IndexFieldKind::Elements;
        if self.fields.iter().filter(elements).count() > 1 {
            return fail("has more than one field of the kind `elements`".to_owned());
        }
        for (position, field) in self.fields.iter().enumerate() {
            // A field may be indexed by its elements and by its value as well.
            let twice =
                |earlier: &IndexField| earlier.field == field.field && elements(&earlier) == elements(&field);
            if self.fields[..position].iter().any(twice) {
                return fail(format!("names the field `{}` twice", field.field));
            }
        }
        Ok(())
    }

    /// The direction of the document's path at the end of an entry: that of the last field.
    pub fn path_direction(&self) -> Direction {
        self.fields
            .last()
            .map_or(Direction::Ascending, |field| field.kind.direction())
    }

    /// What the keys of all entries of a source begin with. Empty where the source's entries do not stand together:
    /// entries of the whole index have to be read then.
    pub fn scope_prefix(&self, source: &Source) -> Vec<u8> {
        let mut prefix = Vec::new();
        if let (IndexScope::Collection, Source::Collection(collection)) = (self.scope, source) {
            let parent = collection
                .as_str()
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent);
            encode_path(parent, Direction::Ascending, &mut prefix);
        }
        prefix
    }

    /// The keys of the entries that a document has: none if it lacks one of the fields, one otherwise, or one for each
    /// distinct element where a field is indexed by its elements. In order and without duplicates.
    ///
    /// The document must be one of a collection of this name.
    pub fn entry_keys(&self, path: &DocumentPath, data: &Map) -> Vec<Vec<u8>> {
        debug_assert!(
            path.collection_str().rsplit('/').next() == Some(&self.collection),
            "a document of another collection"
        );
        let mut keys = vec![Vec::with_capacity(KEY_BYTES_USUAL)];
        if self.scope == IndexScope::Collection {
            let parent = path
                .collection_str()
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent);
            encode_path(parent, Direction::Ascending, &mut keys[0]);
        }
        for IndexField { field, kind } in &self.fields {
            let Some(value) = field.get(data) else {
                return Vec::new();
            };
            match (kind, value) {
                (IndexFieldKind::Elements, Value::Array(elements)) => {
                    let components = element_components(elements);
                    keys = keys
                        .iter()
                        .flat_map(|key| components.iter().map(|element| [&**key, element].concat()))
                        .collect();
                }
                (IndexFieldKind::Elements, _) => return Vec::new(),
                (IndexFieldKind::Ascending | IndexFieldKind::Descending, value) => {
                    for key in &mut keys {
                        encode_value(value, kind.direction(), key);
                    }
                }
            }
        }
        for key in &mut keys {
            match self.scope {
                IndexScope::Collection => encode_id(path.id(), self.path_direction(), key),
                IndexScope::Group => encode_path(path.as_str(), self.path_direction(), key),
            }
        }
        keys
    }

    /// What a write changes in the index with this number: the entries that only the data before it has are removed, and
    /// those that only the data after it has are added. In the order of their keys.
    pub fn entry_changes(
        &self,
        index: IndexId,
        path: &DocumentPath,
        before: Option<&Map>,
        after: Option<&Map>,
    ) -> Vec<EntryChange> {
        // Both are sorted, so one walk along them finds what only one of them has.
        let keys = |data: Option<&Map>| data.map_or_else(Vec::new, |data| self.entry_keys(path, data));
        let mut old = keys(before).into_iter().peekable();
        let mut new = keys(after).into_iter().peekable();
        let mut changes = Vec::new();
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.cmp(new),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let (key, added) = match order {
                Ordering::Less => (old.next(), false),
                Ordering::Greater => (new.next(), true),
                Ordering::Equal => {
                    old.next();
                    new.next();
                    continue;
                }
            };
            changes.extend(key.map(|key| EntryChange { index, key, added }));
        }
        changes
    }

    /// The document that an entry's key ends with; `None` if the key is not one of this definition.
    pub fn document_of(&self, key: &[u8]) -> Option<DocumentPath> {
        let mut position = 0;
        let mut parent = String::new();
        if self.scope == IndexScope::Collection {
            (parent, position) = decode_path(key, Direction::Ascending)?;
        }
        for field in &self.fields {
            position += read_value(&key[position..], field.kind.direction())?.bytes;
        }
        let rest = &key[position..];
        let (path, bytes) = match self.scope {
            IndexScope::Group => decode_path(rest, self.path_direction())?,
            IndexScope::Collection => {
                let (id, bytes) = decode_id(rest, self.path_direction())?;
                let separator = if parent.is_empty() { "" } else { "/" };
                (format!("{parent}{separator}{}/{id}", self.collection), bytes)
            }
        };
        if bytes < rest.len() {
            return None;
        }
        path.parse().ok()
    }
}

impl IndexFieldKind {
    /// The direction in which the field's values are encoded.
    pub fn direction(self) -> Direction {
        match self {
            Self::Ascending | Self::Elements => Direction::Ascending,
            Self::Descending => Direction::Descending,
        }
    }
}

/// The encodings of an array's distinct elements, or of their overflow.
fn element_components(elements: &[Value]) -> BTreeSet<Vec<u8>> {
    let mut components = BTreeSet::new();
    for element in elements {
        let mut component = Vec::new();
        encode_value(element, Direction::Ascending, &mut component);
        components.insert(component);
        if components.len() > ELEMENT_ENTRIES_MAX {
            let mut overflow = Vec::new();
            encode_element_overflow(&mut overflow);
            return BTreeSet::from([overflow]);
        }
    }
    components
}
