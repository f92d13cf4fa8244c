//! `andiron.indexes.json`: the indexes of a project, fixed in a file.
//!
//! ```json
//! {
//!   "indexes": [
//!     {"collection": "posts", "fields": [["published", "asc"], ["createdAt", "desc"]]},
//!     {"collection": "posts", "fields": [["tags", "elements"], ["createdAt", "desc"]]},
//!     {"collection": "comments", "scope": "group", "fields": [["author", "asc"]]}
//!   ]
//! }
//! ```
//!
//! `collection` is the name of collections, wherever they stand. `scope` is `collection` (the default), for queries of
//! one collection, or `group`, for queries of all collections of the name. A field is a field path and `asc`, `desc` or
//! `elements`, which indexes each element of an array and serves `array-contains` and `array-contains-any`.

use andiron_protocol::{FieldPath, InputError};
use andiron_store::{IndexDefinition, IndexField, IndexFieldKind, IndexScope};
use serde::{Deserialize, Serialize};

/// Indexes in one file.
pub const FILE_INDEXES_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    indexes: Vec<Entry>,
}

/// An index as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) collection: String,
    #[serde(default = "collection_scope", skip_serializing_if = "is_collection_scope")]
    pub(crate) scope: IndexScope,
    pub(crate) fields: Vec<(FieldPath, Kind)>,
}

/// How a field is indexed, as it stands in the file.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Asc,
    Desc,
    Elements,
}

fn collection_scope() -> IndexScope {
    IndexScope::Collection
}

fn is_collection_scope(scope: &IndexScope) -> bool {
    *scope == IndexScope::Collection
}

/// Reads the text of an `andiron.indexes.json`.
///
/// # Errors
/// If it is not of that form, an index is not a possible one or of a system collection, or one stands there twice; with
/// line and column where the JSON is wrong.
pub fn parse_index_file(text: &str) -> Result<Vec<IndexDefinition>, InputError> {
    let file: File = serde_json::from_str(text)?;
    if file.indexes.len() > FILE_INDEXES_MAX {
        return Err(
            InputError::new(format!("there are more than {FILE_INDEXES_MAX} indexes")).in_field("indexes"),
        );
    }
    let mut definitions = Vec::with_capacity(file.indexes.len());
    for (position, entry) in file.indexes.into_iter().enumerate() {
        let definition = IndexDefinition::from(entry);
        let fail = |error: InputError| error.in_field(format!("indexes[{position}]"));
        check_definition(&definition).map_err(fail)?;
        if definitions.contains(&definition) {
            return Err(fail(InputError::new(format!(
                "the index `{}` stands there twice",
                describe_definition(&definition)
            ))));
        }
        definitions.push(definition);
    }
    Ok(definitions)
}

/// Checks that a project may have this index.
pub(crate) fn check_definition(definition: &IndexDefinition) -> Result<(), InputError> {
    definition.check()?;
    if definition.collection.starts_with('_') {
        return Err(InputError::new(format!(
            "the collection `{}` is the system's own",
            definition.collection
        )));
    }
    if definition.fields.is_empty() && definition.scope == IndexScope::Collection {
        return Err(InputError::new(format!(
            "an index on `{}` needs a field: documents of one collection are in the order of their ids without one",
            definition.collection
        )));
    }
    Ok(())
}

/// The definition as it stands in an `andiron.indexes.json`.
pub(crate) fn definition_json(definition: &IndexDefinition) -> String {
    serde_json::to_string(&Entry::from(definition)).expect("writing to memory does not fail")
}

/// The definition for people: `posts(published asc, createdAt desc)`.
pub(crate) fn describe_definition(definition: &IndexDefinition) -> String {
    let fields: Vec<_> = definition
        .fields
        .iter()
        .map(|field| {
            let kind = match field.kind {
                IndexFieldKind::Ascending => "asc",
                IndexFieldKind::Descending => "desc",
                IndexFieldKind::Elements => "elements",
            };
            format!("{} {kind}", field.field)
        })
        .collect();
    let group = match definition.scope {
        IndexScope::Collection => "",
        IndexScope::Group => "group ",
    };
    format!("{group}{}({})", definition.collection, fields.join(", "))
}

impl From<&IndexDefinition> for Entry {
    fn from(definition: &IndexDefinition) -> Self {
        let fields = definition.fields.iter().map(|field| {
            let kind = match field.kind {
                IndexFieldKind::Ascending => Kind::Asc,
                IndexFieldKind::Descending => Kind::Desc,
                IndexFieldKind::Elements => Kind::Elements,
            };
            (field.field.clone(), kind)
        });
        Self {
            collection: definition.collection.clone(),
            scope: definition.scope,
            fields: fields.collect(),
        }
    }
}

impl From<Entry> for IndexDefinition {
    fn from(entry: Entry) -> Self {
        let fields = entry.fields.into_iter().map(|(field, kind)| IndexField {
            field,
            kind: match kind {
                Kind::Asc => IndexFieldKind::Ascending,
                Kind::Desc => IndexFieldKind::Descending,
                Kind::Elements => IndexFieldKind::Elements,
            },
        });
        Self {
            collection: entry.collection,
            scope: entry.scope,
            fields: fields.collect(),
        }
    }
}
