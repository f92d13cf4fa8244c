//! How writes are written as JSON: what an SDK sends, and the reader in `write_json` reads.
//!
//! Fields and transforms of one write stand in one tree on the wire. A map that holds nothing but transforms is read
//! back as no map at all; what such a write does is the same.

use std::collections::BTreeMap;

use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use crate::value_json::write_tagged;
use crate::{FieldPath, Map, Precondition, Transform, Value, Write, WriteData, WriteKind};

impl Serialize for Transform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now => write_tagged(serializer, "$now", &true),
            Self::Increment(operand) => write_tagged(serializer, "$inc", operand),
            Self::Minimum(operand) => write_tagged(serializer, "$min", operand),
            Self::Maximum(operand) => write_tagged(serializer, "$max", operand),
            Self::Union(elements) => write_tagged(serializer, "$union", elements),
            Self::Remove(elements) => write_tagged(serializer, "$remove", elements),
            Self::Delete => write_tagged(serializer, "$delete", &true),
        }
    }
}

impl Serialize for WriteData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let transforms = self
            .transforms
            .iter()
            .map(|(path, transform)| (path.segments(), transform))
            .collect();
        Tree::Map {
            fields: Some(&self.fields),
            transforms,
        }
        .serialize(serializer)
    }
}

/// What stands at one place of the data.
enum Tree<'a> {
    Value(&'a Value),
    Transform(&'a Transform),
    /// A map and the transforms somewhere below it, each with the rest of its path.
    Map {
        fields: Option<&'a Map>,
        transforms: Vec<(&'a [String], &'a Transform)>,
    },
}

impl<'a> Tree<'a> {
    /// The place with these fields, if any, and these transforms at it or below it; `None` if they contradict.
    fn at(value: Option<&'a Value>, transforms: Vec<(&'a [String], &'a Transform)>) -> Option<Self> {
        match (value, transforms.as_slice()) {
            (Some(value), []) => Some(Self::Value(value)),
            (None, [([], transform)]) => Some(Self::Transform(transform)),
            (_, transforms) if transforms.iter().any(|(rest, _)| rest.is_empty()) => None,
            (None | Some(Value::Map(_)), _) => Some(Self::Map {
                fields: value.and_then(Value::as_map),
                transforms,
            }),
            (Some(_), _) => None,
        }
    }

    /// What stands under each name of a map.
    fn entries(
        fields: Option<&'a Map>,
        transforms: &[(&'a [String], &'a Transform)],
    ) -> Option<BTreeMap<&'a str, Tree<'a>>> {
        let mut below: BTreeMap<&str, (Option<&Value>, Vec<_>)> = BTreeMap::new();
        for (name, value) in fields.into_iter().flatten() {
            below.insert(name, (Some(value), Vec::new()));
        }
        for (path, transform) in transforms {
            let (first, rest) = path.split_first()?;
            below.entry(first).or_default().1.push((rest, *transform));
        }
        below
            .into_iter()
            .map(|(name, (value, transforms))| Some((name, Tree::at(value, transforms)?)))
            .collect()
    }
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Transform(transform) => transform.serialize(serializer),
            Self::Map { fields, transforms } => {
                let entries = Self::entries(*fields, transforms).ok_or_else(|| {
                    S::Error::custom("a transform stands where the data has something else")
                })?;
                if entries.keys().any(|name| name.starts_with('$')) {
                    write_tagged(serializer, "$map", &entries)
                } else {
                    entries.serialize(serializer)
                }
            }
        }
    }
}

/// The data of an update: each field path a key.
struct UpdateJson<'a> {
    fields: &'a [(FieldPath, Value)],
    transforms: &'a [(FieldPath, Transform)],
}

impl Serialize for UpdateJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (path, value) in self.fields {
            let below = self
                .transforms
                .iter()
                .filter(|(inner, _)| path.is_prefix_of(inner))
                .map(|(inner, transform)| (&inner.segments()[path.segments().len()..], transform))
                .collect();
            let tree = Tree::at(Some(value), below)
                .ok_or_else(|| S::Error::custom("a transform stands where the data has something else"))?;
            map.serialize_entry(path, &tree)?;
        }
        for (path, transform) in self.transforms {
            if !self.fields.iter().any(|(outer, _)| outer.is_prefix_of(path)) {
                map.serialize_entry(path, transform)?;
            }
        }
        map.end()
    }
}

impl Serialize for Precondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Left out of a write; alone it is the object that demands nothing.
            Self::None => serializer.serialize_map(Some(0))?.end(),
            Self::Exists(exists) => write_tagged(serializer, "exists", exists),
            Self::Version(version) => write_tagged(serializer, "version", version),
        }
    }
}

impl Serialize for Write {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // The kind first, so that a reader knows what the data is when it comes.
        map.serialize_entry(self.kind.name(), &self.path)?;
        match &self.kind {
            WriteKind::Create(data) | WriteKind::Set(data) | WriteKind::Merge(data) => {
                map.serialize_entry("data", data)?;
            }
            WriteKind::Update { fields, transforms } => {
                map.serialize_entry("data", &UpdateJson { fields, transforms })?;
            }
            WriteKind::Delete | WriteKind::Verify => {}
        }
        if self.precondition != Precondition::None {
            map.serialize_entry("if", &self.precondition)?;
        }
        map.end()
    }
}
