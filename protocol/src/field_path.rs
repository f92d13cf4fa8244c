//! Field paths: `a.b.c`, with backticks around segments that are not plain identifiers.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::error::excerpt;
use crate::limits::{FIELD_NAME_BYTES_MAX, FIELD_PATH_SEGMENTS_MAX};
use crate::path::is_reserved;
use crate::{InputError, Map, Value};

/// The way to a field inside a document: one name for each map on the way, at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<String>);

/// Checks the name of a field: 1 to 1,500 bytes and not `__…__`.
pub(crate) fn check_field_name(name: &str) -> Result<(), InputError> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > FIELD_NAME_BYTES_MAX {
        return Err(InputError::new(format!(
            "the field name `{}` is longer than {FIELD_NAME_BYTES_MAX} bytes",
            excerpt(name)
        )));
    } else if is_reserved(name) {
        "begins and ends with two underscores, which is reserved"
    } else {
        return Ok(());
    };
    Err(InputError::new(format!(
        "the field name `{}` {problem}",
        excerpt(name)
    )))
}

impl FieldPath {
    /// A path from its names.
    ///
    /// # Errors
    /// If there is none or too many, or one is not a valid field name.
    pub fn from_segments(segments: Vec<String>) -> Result<Self, InputError> {
        if segments.is_empty() {
            return Err(InputError::new("a field path needs at least one field name"));
        }
        if segments.len() > FIELD_PATH_SEGMENTS_MAX {
            return Err(InputError::new(format!(
                "a field path has more than {FIELD_PATH_SEGMENTS_MAX} field names"
            )));
        }
        for segment in &segments {
            check_field_name(segment)?;
        }
        Ok(Self(segments))
    }

    /// The names on the way.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// Whether `self` is `other` or leads to a map on the way to it.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The value at this path, if every map on the way is there.
    pub fn get<'a>(&self, data: &'a Map) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter()
            .try_fold(data.get(first)?, |value, segment| value.as_map()?.get(segment))
    }

    /// Sets the value at this path; what stands in the way and is no map is replaced by one.
    pub fn set(&self, data: &mut Map, value: Value) {
        let Some((last, maps)) = self.0.split_last() else {
            return;
        };
        let mut map = data;
        for segment in maps {
            let slot = map.entry(segment.clone()).or_insert(Value::Null);
            if !matches!(slot, Value::Map(_)) {
                *slot = Value::Map(Map::new());
            }
            match slot {
                Value::Map(inner) => map = inner,
                _ => return,
            }
        }
        map.insert(last.clone(), value);
    }

    /// Removes the field at this path, if it is there; maps on the way stay, even when empty.
    pub fn remove(&self, data: &mut Map) -> Option<Value> {
        let (last, maps) = self.0.split_last()?;
        let mut map = data;
        for segment in maps {
            match map.get_mut(segment) {
                Some(Value::Map(inner)) => map = inner,
                _ => return None,
            }
        }
        map.remove(last)
    }
}

fn is_plain(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            if is_plain(segment) {
                formatter.write_str(segment)?;
            } else {
                write!(
                    formatter,
                    "`{}`",
                    segment.replace('\\', "\\\\").replace('`', "\\`")
                )?;
            }
        }
        Ok(())
    }
}

impl FromStr for FieldPath {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let fail =
            |detail: &str| InputError::new(format!("`{}` is not a field path: {detail}", excerpt(text)));
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            let segment = if let Some(quoted) = rest.strip_prefix('`') {
                let (segment, after) = read_quoted(quoted).ok_or_else(|| {
                    fail("a backtick is not closed or an escape is not one of \\` and \\\\")
                })?;
                rest = after;
                segment
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                let segment = &rest[..end];
                if !is_plain(segment) {
                    return Err(fail(
                        "a field name that is not a letter or `_` followed by letters, digits and `_` stands in backticks",
                    ));
                }
                rest = &rest[end..];
                segment.to_owned()
            };
            segments.push(segment);
            match rest.strip_prefix('.') {
                // One too many is enough to know.
                Some(_) if segments.len() > FIELD_PATH_SEGMENTS_MAX => break,
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return Err(fail("a dot is expected after a closing backtick")),
            }
        }
        Self::from_segments(segments).map_err(|error| fail(&error.detail))
    }
}

/// What stands before the closing backtick, unescaped, and what follows it.
fn read_quoted(text: &str) -> Option<(String, &str)> {
    let mut segment = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '`' => return Some((segment, &text[index + 1..])),
            '\\' => match characters.next()?.1 {
                escaped @ ('`' | '\\') => segment.push(escaped),
                _ => return None,
            },
            other => segment.push(other),
        }
    }
    None
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
