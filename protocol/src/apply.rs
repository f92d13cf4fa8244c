//! What a write does to a document: the one definition that the server and the SDKs' offline writes share.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{
    ErrorCode, FieldPath, Map, Precondition, Timestamp, Transform, Value, Version, Write, WriteKind,
    compare_doubles,
};

/// The outcome of a write whose preconditions hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The document's data afterwards; `None` if it is absent then. Those of the write itself where it says all.
    pub after: Option<Arc<Map>>,
    /// What those transforms gave that depend on the server or the field: now, increment, minimum and maximum.
    pub results: Vec<(FieldPath, Value)>,
}

/// Why a write cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A create met an existing document.
    #[error("the document exists")]
    AlreadyExists,
    /// An update met no document.
    #[error("the document does not exist")]
    NotFound,
    /// `if` demands that the document exist, and it does not.
    #[error("the document does not exist, and the write demands that it does")]
    Missing,
    /// `if` demands that the document not exist, and it does.
    #[error("the document exists, and the write demands that it does not")]
    Present,
    /// `if` demands another version.
    #[error("the document is not at the version that the write demands")]
    OtherVersion,
}

impl ApplyError {
    /// The code that answers it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::AlreadyExists => ErrorCode::AlreadyExists,
            Self::NotFound => ErrorCode::NotFound,
            Self::Missing | Self::Present | Self::OtherVersion => ErrorCode::FailedPrecondition,
        }
    }
}

/// Applies a write to a document as it stands, `before`, with its version; `now` is the request's time.
///
/// # Errors
/// If the write's precondition, or the one in its kind, does not hold.
pub fn apply_write(
    write: &Write,
    before: Option<(Version, &Map)>,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    match (write.precondition, before) {
        (Precondition::Exists(true), None) => return Err(ApplyError::Missing),
        (Precondition::Exists(false), Some(_)) if !matches!(write.kind, WriteKind::Create(_)) => {
            return Err(ApplyError::Present);
        }
        (Precondition::Version(wanted), before) if before.map(|(version, _)| version) != Some(wanted) => {
            return Err(if before.is_some() {
                ApplyError::OtherVersion
            } else {
                ApplyError::Missing
            });
        }
        _ => {}
    }
    let before = before.map(|(_, data)| data);
    let (mut after, transforms) = match (&write.kind, before) {
        (WriteKind::Create(_), Some(_)) => return Err(ApplyError::AlreadyExists),
        (WriteKind::Update { .. }, None) => return Err(ApplyError::NotFound),
        (WriteKind::Delete, _) => {
            return Ok(Applied {
                after: None,
                results: Vec::new(),
            });
        }
        (WriteKind::Verify, before) => {
            return Ok(Applied {
                after: before.cloned().map(Arc::new),
                results: Vec::new(),
            });
        }
        (WriteKind::Create(data) | WriteKind::Set(data), _) => (Arc::clone(&data.fields), &data.transforms),
        (WriteKind::Merge(data), before) => {
            let mut after = before.cloned().unwrap_or_default();
            merge(&mut after, &data.fields);
            (Arc::new(after), &data.transforms)
        }
        (WriteKind::Update { fields, transforms }, Some(before)) => {
            let mut after = before.clone();
            for (path, value) in fields {
                path.set(&mut after, value.clone());
            }
            (Arc::new(after), transforms)
        }
    };
    let results = match transforms.as_slice() {
        [] => Vec::new(),
        transforms => apply_transforms(Arc::make_mut(&mut after), transforms, now),
    };
    Ok(Applied {
        after: Some(after),
        results,
    })
}

/// Sets the fields of `given`; where both sides have a map, the map is merged.
fn merge(into: &mut Map, given: &Map) {
    for (name, value) in given {
        match (into.get_mut(name), value) {
            (Some(Value::Map(inner)), Value::Map(given)) => merge(inner, given),
            (Some(slot), value) => *slot = value.clone(),
            (None, value) => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

fn apply_transforms(
    data: &mut Map,
    transforms: &[(FieldPath, Transform)],
    now: Timestamp,
) -> Vec<(FieldPath, Value)> {
    let mut results = Vec::new();
    for (path, transform) in transforms {
        let (value, is_result) = match transform {
            Transform::Delete => {
                path.remove(data);
                continue;
            }
            Transform::Now => (Value::Timestamp(now), true),
            Transform::Increment(operand) => (increment(path.get(data), operand), true),
            Transform::Minimum(operand) => (
                extreme(path.get(data), operand, |field, operand| field <= operand),
                true,
            ),
            Transform::Maximum(operand) => (
                extreme(path.get(data), operand, |field, operand| field >= operand),
                true,
            ),
            Transform::Union(elements) => (union(path.get(data), elements), false),
            Transform::Remove(elements) => (remove(path.get(data), elements), false),
        };
        if is_result {
            results.push((path.clone(), value.clone()));
        }
        path.set(data, value);
    }
    results
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an integer with a double gives a double, as Firestore does"
)]
fn increment(field: Option<&Value>, operand: &Value) -> Value {
    match (field, operand) {
        (Some(Value::Integer(field)), Value::Integer(operand)) => {
            Value::Integer(field.saturating_add(*operand))
        }
        (Some(Value::Integer(field)), Value::Double(operand)) => Value::Double(*field as f64 + operand),
        (Some(Value::Double(field)), Value::Integer(operand)) => Value::Double(field + *operand as f64),
        (Some(Value::Double(field)), Value::Double(operand)) => Value::Double(field + operand),
        (_, operand) => operand.clone(),
    }
}

/// The field's value if it is a number that `keeps` prefers, else the operand; NaN on either side gives NaN.
fn extreme(field: Option<&Value>, operand: &Value, keeps: fn(&Value, &Value) -> bool) -> Value {
    let is_nan =
        |value: &Value| matches!(value, Value::Double(double) if compare_doubles(*double, f64::NAN).is_eq());
    match field {
        Some(field @ (Value::Integer(_) | Value::Double(_))) => {
            if is_nan(field) || (!is_nan(operand) && keeps(field, operand)) {
                field.clone()
            } else {
                operand.clone()
            }
        }
        _ => operand.clone(),
    }
}

fn union(field: Option<&Value>, elements: &[Value]) -> Value {
    let mut array = field.and_then(Value::as_array).unwrap_or_default().to_vec();
    // Sets, because both sides may have as many elements as a document holds.
    let mut present: BTreeSet<&Value> = field
        .and_then(Value::as_array)
        .unwrap_or_default()
        .iter()
        .collect();
    array.extend(elements.iter().filter(|element| present.insert(element)).cloned());
    Value::Array(array)
}

fn remove(field: Option<&Value>, elements: &[Value]) -> Value {
    let array = field.and_then(Value::as_array).unwrap_or_default();
    let removed: BTreeSet<&Value> = elements.iter().collect();
    Value::Array(
        array
            .iter()
            .filter(|element| !removed.contains(element))
            .cloned()
            .collect(),
    )
}
