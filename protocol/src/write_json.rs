//! How writes are read from JSON.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::excerpt;
use crate::json_input::object;
use crate::limits::{
    BATCH_GET_PATHS_MAX, COMMIT_QUERIES_MAX, COMMIT_READS_MAX, COMMIT_WRITES_MAX, WRITE_TRANSFORMS_MAX,
};
use crate::value_json::{Slot, TransformSink, ValueSeed};
use crate::{
    CommitBody, DocumentPath, FieldPath, InputError, Map, Precondition, Query, QueryRead, Read, Transform,
    Value, Version, Write, WriteData, WriteKind, from_json,
};

fn bounded_reads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Read>, D::Error> {
    bounded(deserializer, "reads", COMMIT_READS_MAX)
}

fn bounded_queries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<QueryRead>, D::Error> {
    bounded(deserializer, "queries", COMMIT_QUERIES_MAX)
}

fn bounded_writes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Write>, D::Error> {
    bounded(deserializer, "writes", COMMIT_WRITES_MAX)
}

pub(crate) fn bounded_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<DocumentPath>, D::Error> {
    bounded(deserializer, "paths", BATCH_GET_PATHS_MAX)
}

/// A list that stops being read at its limit.
fn bounded<'de, D, T>(deserializer: D, field: &'static str, entries_max: usize) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T>(&'static str, usize, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "`{}` as an array", self.0)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = seq.next_element()? {
                if entries.len() == self.1 {
                    return Err(de::Error::custom(format!(
                        "`{}` has more than {} entries",
                        self.0, self.1
                    )));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_seq(Bounded(field, entries_max, PhantomData))
}

/// An option that may be null but must be given.
fn required_option<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

impl WriteData {
    /// Reads the data of a create, set or merge: an object of value JSON in which transforms may stand.
    ///
    /// # Errors
    /// If the text is not such an object; with line and column.
    pub fn from_json(json: &[u8]) -> Result<Self, InputError> {
        from_json(json)
    }

    /// Refuses `$delete`, which has nothing to delete in a create or set.
    ///
    /// # Errors
    /// Names the first field that is to be deleted.
    pub fn without_deletes(self, kind: &str) -> Result<Self, InputError> {
        match self
            .transforms
            .iter()
            .find(|(_, transform)| *transform == Transform::Delete)
        {
            Some((path, _)) => Err(InputError::new(format!(
                "the field `{}` has `$delete`, which stands only in merge and update, not in {kind}",
                excerpt(&path.to_string())
            ))),
            None => Ok(self),
        }
    }
}

struct WriteDataSeed;

impl<'de> DeserializeSeed<'de> for WriteDataSeed {
    type Value = WriteData;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<WriteData, D::Error> {
        let mut sink = TransformSink::default();
        match (ValueSeed {
            sink: Some(&mut sink),
            depth: 0,
        })
        .deserialize(deserializer)?
        {
            Slot::Value(Value::Map(fields)) => Ok(WriteData {
                fields: Arc::new(fields),
                transforms: sink.transforms,
            }),
            _ => Err(de::Error::custom("a document's data is a JSON object")),
        }
    }
}

impl<'de> Deserialize<'de> for WriteData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WriteDataSeed.deserialize(deserializer)
    }
}

/// Refuses more transforms in one write than there may be.
pub(crate) fn check_transforms_count(count: usize) -> Result<(), InputError> {
    if count > WRITE_TRANSFORMS_MAX {
        return Err(InputError::new(format!(
            "a write has more than {WRITE_TRANSFORMS_MAX} transforms"
        )));
    }
    Ok(())
}

/// The data of an update: field paths to values and transforms.
struct UpdateData {
    fields: Vec<(FieldPath, Value)>,
    transforms: Vec<(FieldPath, Transform)>,
}

impl<'de> Deserialize<'de> for UpdateData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UpdateVisitor)
    }
}

struct UpdateVisitor;

impl<'de> Visitor<'de> for UpdateVisitor {
    type Value = UpdateData;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of field paths and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UpdateData, A::Error> {
        let mut data = UpdateData {
            fields: Vec::new(),
            transforms: Vec::new(),
        };
        let mut paths: Vec<FieldPath> = Vec::new();
        while let Some(path) = access.next_key::<FieldPath>()? {
            let mut sink = TransformSink::default();
            // A value under a path of n names is n levels deep.
            let depth = path.segments().len();
            match access.next_value_seed(ValueSeed {
                sink: Some(&mut sink),
                depth,
            })? {
                Slot::Value(value) => data.fields.push((path.clone(), value)),
                Slot::Transform(transform) => data.transforms.push((path.clone(), transform)),
                Slot::Omitted => data.fields.push((path.clone(), Value::Map(Map::new()))),
            }
            for (inner, transform) in sink.transforms {
                if transform == Transform::Delete {
                    return Err(de::Error::custom(format!(
                        "`$delete` stands inside the new value of `{}`; name the whole field path as the key instead",
                        excerpt(&path.to_string())
                    )));
                }
                let segments = path.segments().iter().chain(inner.segments()).cloned().collect();
                data.transforms.push((
                    FieldPath::from_segments(segments).map_err(de::Error::custom)?,
                    transform,
                ));
            }
            paths.push(path);
            check_transforms_count(data.transforms.len()).map_err(de::Error::custom)?;
        }
        paths.sort();
        // Sorted, a path stands directly before the first one that it leads to.
        for pair in paths.windows(2) {
            if let [first, second] = pair
                && first.is_prefix_of(second)
            {
                return Err(de::Error::custom(format!(
                    "the field paths `{}` and `{}` overlap",
                    excerpt(&first.to_string()),
                    excerpt(&second.to_string())
                )));
            }
        }
        Ok(data)
    }
}

impl<'de> Deserialize<'de> for CommitBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            #[serde(default, deserialize_with = "bounded_reads")]
            reads: Vec<Read>,
            #[serde(default, deserialize_with = "bounded_queries")]
            queries: Vec<QueryRead>,
            #[serde(default, deserialize_with = "bounded_writes")]
            writes: Vec<Write>,
        }
        let wire: Wire = object(
            deserializer,
            "the body of a commit, an object with `writes`, `reads` and `queries`",
        )?;
        Ok(Self {
            reads: wire.reads,
            queries: wire.queries,
            writes: wire.writes,
        })
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            path: DocumentPath,
            #[serde(deserialize_with = "required_option")]
            version: Option<Version>,
        }
        let wire: Wire = object(deserializer, "a read: {\"path\": …, \"version\": … or null}")?;
        Ok(Self {
            path: wire.path,
            version: wire.version,
        })
    }
}

impl<'de> Deserialize<'de> for QueryRead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            query: Query,
            version: Version,
        }
        let wire: Wire = object(deserializer, "a query read: {\"query\": …, \"version\": …}")?;
        Ok(Self {
            query: wire.query,
            version: wire.version,
        })
    }
}

impl<'de> Deserialize<'de> for Precondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            exists: Option<bool>,
            version: Option<Version>,
        }
        let wire: Wire = object(
            deserializer,
            "a precondition: {\"exists\": true}, {\"exists\": false} or {\"version\": …}",
        )?;
        match wire {
            Wire {
                exists: Some(exists),
                version: None,
            } => Ok(Self::Exists(exists)),
            Wire {
                exists: None,
                version: Some(version),
            } => Ok(Self::Version(version)),
            Wire { .. } => Err(de::Error::custom("`if` has either `exists` or `version`")),
        }
    }
}

impl<'de> Deserialize<'de> for Write {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WriteVisitor)
    }
}

const WRITE_KEYS: &[&str] = &[
    "create", "set", "merge", "update", "delete", "verify", "data", "if",
];

/// The data of a write may come before the key that names its kind, so it waits as raw JSON until the kind is known.
struct WriteVisitor;

impl<'de> Visitor<'de> for WriteVisitor {
    type Value = Write;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a write: an object with one of `create`, `set`, `merge`, `update`, `delete`, `verify`",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Write, A::Error> {
        let mut operation: Option<(String, DocumentPath)> = None;
        let mut data: Option<Data> = None;
        let mut precondition = None;
        while let Some(key) = access.next_key::<String>()? {
            match key.as_str() {
                "data" if data.is_some() => return Err(de::Error::duplicate_field("data")),
                "data" => {
                    data = Some(match &operation {
                        Some((kind, _)) if kind == "update" => Data::Update(access.next_value()?),
                        Some(_) => Data::Fields(access.next_value()?),
                        None => Data::Waiting(access.next_value()?),
                    });
                }
                "if" if precondition.is_some() => return Err(de::Error::duplicate_field("if")),
                "if" => precondition = Some(access.next_value::<Precondition>()?),
                "create" | "set" | "merge" | "update" | "delete" | "verify" => {
                    if let Some((other, _)) = &operation {
                        return Err(de::Error::custom(format!(
                            "a write does one thing, and this one has `{other}` and `{key}`"
                        )));
                    }
                    operation = Some((key, access.next_value()?));
                }
                other => return Err(de::Error::unknown_field(&excerpt(other), WRITE_KEYS)),
            }
        }
        let Some((name, path)) = operation else {
            return Err(de::Error::custom(
                "a write names its document with one of `create`, `set`, `merge`, `update`, `delete`, `verify`",
            ));
        };
        let kind = write_kind(&name, data).map_err(de::Error::custom)?;
        let precondition = precondition.unwrap_or_default();
        check_precondition(&kind, precondition).map_err(de::Error::custom)?;
        Ok(Write {
            path,
            kind,
            precondition,
        })
    }
}

enum Data {
    Fields(WriteData),
    Update(UpdateData),
    Waiting(Box<serde_json::value::RawValue>),
}

fn write_kind(name: &str, data: Option<Data>) -> Result<WriteKind, InputError> {
    if matches!(name, "delete" | "verify") {
        return match data {
            Some(_) => Err(InputError::new(format!("`{name}` takes no `data`"))),
            None if name == "delete" => Ok(WriteKind::Delete),
            None => Ok(WriteKind::Verify),
        };
    }
    let data = data.ok_or_else(|| InputError::new(format!("`{name}` needs `data`")))?;
    if name == "update" {
        let update = match data {
            Data::Update(update) => update,
            Data::Waiting(raw) => serde_json::from_str(raw.get())?,
            Data::Fields(_) => return Err(InputError::new("`update` takes field paths")),
        };
        return Ok(WriteKind::Update {
            fields: update.fields,
            transforms: update.transforms,
        });
    }
    let data = match data {
        Data::Fields(data) => data,
        Data::Waiting(raw) => serde_json::from_str(raw.get())?,
        Data::Update(_) => return Err(InputError::new(format!("`{name}` takes fields"))),
    };
    match name {
        "create" => data.without_deletes(name).map(WriteKind::Create),
        "set" => data.without_deletes(name).map(WriteKind::Set),
        _ => Ok(WriteKind::Merge(data)),
    }
}

fn check_precondition(kind: &WriteKind, precondition: Precondition) -> Result<(), InputError> {
    let problem = match (kind, precondition) {
        (WriteKind::Verify, Precondition::None) => "`verify` needs an `if`: it does nothing else",
        (WriteKind::Create(_), Precondition::Exists(true) | Precondition::Version(_)) => {
            "`create` fails if the document exists, so this `if` can never hold"
        }
        (WriteKind::Update { .. }, Precondition::Exists(false)) => {
            "`update` fails if the document is missing, so this `if` can never hold"
        }
        _ => return Ok(()),
    };
    Err(InputError::new(problem))
}
