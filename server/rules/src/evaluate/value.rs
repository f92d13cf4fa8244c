//! The values that rules compute with.
//!
//! A document's data is never copied to be looked at: strings, lists and maps of it are borrowed, and their elements
//! become rule values when they are asked for. What rules build themselves is shared, so that a value is cheap to clone.
//!
//! Invariants: no value is deeper than [`VALUE_DEPTH_MAX`], so that comparing, showing and dropping may recurse; a set is
//! sorted by [`compare`](super::compare::compare) and has no two equal elements.

mod object;
mod show;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::ops::Deref;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, GeoPoint, Map as StoredMap, Value as Stored};

pub(crate) use object::Object;
pub use show::SHOWN_CHARACTERS_MAX;
pub(crate) use show::{float_text, show};

use super::fault::Fault;
use crate::language::Kind;

/// How deep values may lie in each other; what documents hold reaches 20.
pub const VALUE_DEPTH_MAX: u16 = 100;

/// The depth that is assumed of everything borrowed: that of a document's data, inside of the request.
const STORED_DEPTH: u16 = 24;

pub(crate) const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Text<'a>),
    Bytes(Octets<'a>),
    /// Nanoseconds since 1970, within the years 1 to 9999.
    Timestamp(i128),
    /// Nanoseconds, within ±10,000 years.
    Duration(i128),
    LatLng(GeoPoint),
    List(List<'a>),
    Map(Map<'a>),
    Set(Arc<Items<'a>>),
    MapDiff(Arc<MapDiff<'a>>),
    Path(Path<'a>),
    /// Something of the request; to rules it is a map.
    Object(Object<'a>),
}

/// A string.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text)
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

/// Bytes.
#[derive(Clone, Debug)]
pub(crate) enum Octets<'a> {
    Borrowed(&'a [u8]),
    Shared(Arc<[u8]>),
}

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Values that the rules have put together, and how deep they are.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    depth: u16,
    values: Vec<Value<'a>>,
}

impl<'a> Items<'a> {
    pub(crate) fn new(values: Vec<Value<'a>>) -> Result<Self, Fault> {
        let depth = depth_above(values.iter())?;
        Ok(Self { depth, values })
    }
}

impl<'a> Deref for Items<'a> {
    type Target = [Value<'a>];

    fn deref(&self) -> &[Value<'a>] {
        &self.values
    }
}

/// A list.
#[derive(Clone, Debug)]
pub(crate) enum List<'a> {
    Stored(&'a [Stored]),
    Built(Arc<Items<'a>>),
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Stored(elements) => elements.len(),
            Self::Built(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Stored(elements) => elements.get(index).map(Value::from_stored),
            Self::Built(items) => items.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).map(|index| self.get(index).unwrap_or(Value::Null))
    }

    /// The elements from one index up to another, both of which exist.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Result<Value<'a>, Fault> {
        match self {
            Self::Stored(elements) => Ok(Value::List(Self::Stored(&elements[start..end]))),
            Self::Built(items) => Value::list(items[start..end].to_vec()),
        }
    }
}

/// The entries of a map that the rules have put together, and how deep they are.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    depth: u16,
    entries: BTreeMap<Text<'a>, Value<'a>>,
}

/// A map.
#[derive(Clone, Debug)]
pub(crate) enum Map<'a> {
    Stored(&'a StoredMap),
    Built(Arc<Fields<'a>>),
}

impl<'a> Map<'a> {
    pub(crate) fn built(entries: BTreeMap<Text<'a>, Value<'a>>) -> Result<Self, Fault> {
        let depth = depth_above(entries.values())?;
        Ok(Self::Built(Arc::new(Fields { depth, entries })))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Stored(map) => map.len(),
            Self::Built(fields) => fields.entries.len(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Stored(map) => map.get(key).map(Value::from_stored),
            Self::Built(fields) => fields.entries.get(key).cloned(),
        }
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        match self {
            Self::Stored(map) => map.contains_key(key),
            Self::Built(fields) => fields.entries.contains_key(key),
        }
    }

    /// The entries in the order of their keys.
    pub(crate) fn iter(&self) -> Entries<'_, 'a> {
        match self {
            Self::Stored(map) => Entries::Stored(map.iter()),
            Self::Built(fields) => Entries::Built(fields.entries.iter()),
        }
    }
}

/// Over the entries of a map.
pub(crate) enum Entries<'m, 'a> {
    Stored(btree_map::Iter<'a, String, Stored>),
    Built(btree_map::Iter<'m, Text<'a>, Value<'a>>),
}

impl<'a> Iterator for Entries<'_, 'a> {
    type Item = (Text<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Stored(entries) => {
                let (key, value) = entries.next()?;
                Some((Text::Borrowed(key), Value::from_stored(value)))
            }
            Self::Built(entries) => {
                let (key, value) = entries.next()?;
                Some((key.clone(), value.clone()))
            }
        }
    }
}

/// What `new.diff(old)` gives.
#[derive(Debug)]
pub(crate) struct MapDiff<'a> {
    pub(crate) new: Map<'a>,
    pub(crate) old: Map<'a>,
}

/// A path: that of a document in the request's database, or segments.
#[derive(Clone, Debug)]
pub(crate) enum Path<'a> {
    Reference(&'a DocumentPath),
    Built(Arc<[Part<'a>]>),
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part<'a> {
    Segment(Text<'a>),
    /// `{name}`, for `bind` to fill in; `{name=**}` too.
    Placeholder {
        name: Text<'a>,
        is_glob: bool,
    },
}

impl<'a> Path<'a> {
    /// The parts, those before a document's path included.
    pub(crate) fn parts(&self, database: &'a str) -> Arc<[Part<'a>]> {
        match self {
            Self::Reference(path) => ["databases", database, "documents"]
                .into_iter()
                .chain(path.segments())
                .map(|segment| Part::Segment(Text::Borrowed(segment)))
                .collect(),
            Self::Built(parts) => Arc::clone(parts),
        }
    }

    /// As it is written.
    pub(crate) fn to_text(&self, database: &str) -> String {
        match self {
            Self::Reference(path) => format!("/databases/{database}/documents/{path}"),
            Self::Built(parts) => {
                let mut text = String::new();
                for part in parts.iter() {
                    text.push('/');
                    match part {
                        Part::Segment(segment) => text.push_str(segment),
                        Part::Placeholder { name, is_glob } => {
                            text.push('{');
                            text.push_str(name);
                            text.push_str(if *is_glob { "=**}" } else { "}" });
                        }
                    }
                }
                if text.is_empty() {
                    text.push('/');
                }
                text
            }
        }
    }

    /// The segments of a path without placeholders.
    pub(crate) fn from_segments(segments: impl Iterator<Item = &'a str>) -> Self {
        Self::Built(
            segments
                .map(|segment| Part::Segment(Text::Borrowed(segment)))
                .collect(),
        )
    }
}

impl<'a> Value<'a> {
    /// A value of a document.
    pub(crate) fn from_stored(stored: &'a Stored) -> Self {
        match stored {
            Stored::Null => Self::Null,
            Stored::Boolean(boolean) => Self::Bool(*boolean),
            Stored::Integer(integer) => Self::Int(*integer),
            Stored::Double(double) => Self::Float(*double),
            Stored::Timestamp(moment) => Self::Timestamp(i128::from(moment.as_micros()) * 1000),
            Stored::String(text) => Self::String(Text::Borrowed(text)),
            Stored::Bytes(bytes) => Self::Bytes(Octets::Borrowed(bytes)),
            Stored::Reference(path) => Self::Path(Path::Reference(path)),
            Stored::GeoPoint(point) => Self::LatLng(*point),
            Stored::Array(elements) => Self::List(List::Stored(elements)),
            Stored::Vector(elements) => {
                let values = elements.iter().map(|element| Self::Float(*element)).collect();
                Self::List(List::Built(Arc::new(Items { depth: 1, values })))
            }
            Stored::Map(map) => Self::Map(Map::Stored(map)),
        }
    }

    pub(crate) fn list(values: Vec<Self>) -> Result<Self, Fault> {
        Ok(Self::List(List::Built(Arc::new(Items::new(values)?))))
    }

    pub(crate) fn string(text: impl Into<Text<'a>>) -> Self {
        Self::String(text.into())
    }

    /// Its type.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::String(_) => Kind::String,
            Self::Bytes(_) => Kind::Bytes,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Duration(_) => Kind::Duration,
            Self::LatLng(_) => Kind::LatLng,
            Self::List(_) => Kind::List,
            Self::Map(_) | Self::Object(_) => Kind::Map,
            Self::Set(_) => Kind::Set,
            Self::MapDiff(_) => Kind::MapDiff,
            Self::Path(_) => Kind::Path,
        }
    }

    /// How messages call its type.
    pub(crate) fn type_name(&self) -> &'static str {
        self.kind().as_str()
    }

    fn depth(&self) -> u16 {
        match self {
            Self::List(List::Built(items)) | Self::Set(items) => items.depth,
            Self::Map(Map::Built(fields)) => fields.depth,
            Self::List(List::Stored(_)) | Self::Map(Map::Stored(_)) | Self::Object(_) => STORED_DEPTH,
            Self::MapDiff(diff) => {
                let depth = |map: &Map<'_>| match map {
                    Map::Stored(_) => STORED_DEPTH,
                    Map::Built(fields) => fields.depth,
                };
                depth(&diff.new).max(depth(&diff.old)) + 1
            }
            _ => 0,
        }
    }
}

/// The depth of something that holds these.
fn depth_above<'v, 'a: 'v>(values: impl Iterator<Item = &'v Value<'a>>) -> Result<u16, Fault> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > VALUE_DEPTH_MAX {
        return Err(Fault::DepthMax(VALUE_DEPTH_MAX));
    }
    Ok(depth)
}
