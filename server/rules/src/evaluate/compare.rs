//! One total order of all values, which sets are sorted by; `==` is being equal in it.
//!
//! On values that documents can hold, equality is that of the protocol, so that a rule and a query mean the same by it:
//! numbers by their value, NaN equal to itself.

use std::cmp::Ordering;

use andiron_protocol::{compare_doubles, compare_integer_with_double};

use super::context::Context;
use super::fault::Fault;
use super::value::{Items, List, Map, Path, Value};

/// Whether the values are equal.
pub(crate) fn equal<'a>(left: &Value<'a>, right: &Value<'a>, context: &mut Context<'a>) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) => {
            context.spend(left.len().min(right.len()));
            **left == **right
        }
        (Value::List(left), Value::List(right)) if left.len() != right.len() => false,
        (Value::Map(left), Value::Map(right)) if left.len() != right.len() => false,
        _ => compare(left, right, context).is_eq(),
    }
}

/// The order of the values; unlike types by their rank.
pub(crate) fn compare<'a>(left: &Value<'a>, right: &Value<'a>, context: &mut Context<'a>) -> Ordering {
    context.spend(1);
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Float(left), Value::Float(right)) => compare_doubles(*left, *right),
        (Value::Int(left), Value::Float(right)) => compare_integer_with_double(*left, *right),
        (Value::Float(left), Value::Int(right)) => compare_integer_with_double(*right, *left).reverse(),
        (Value::String(left), Value::String(right)) => {
            context.spend(left.len().min(right.len()));
            left.cmp(right)
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            context.spend(left.len().min(right.len()));
            (**left).cmp(&**right)
        }
        (Value::Timestamp(left), Value::Timestamp(right))
        | (Value::Duration(left), Value::Duration(right)) => left.cmp(right),
        (Value::LatLng(left), Value::LatLng(right)) => left.cmp(right),
        (Value::List(left), Value::List(right)) => compare_elements(left.iter(), right.iter(), context),
        (Value::Set(left), Value::Set(right)) => {
            compare_elements(left.iter().cloned(), right.iter().cloned(), context)
        }
        (Value::Path(Path::Reference(left)), Value::Path(Path::Reference(right))) => {
            context.spend(left.as_str().len());
            left.cmp(right)
        }
        (Value::Path(left), Value::Path(right)) => {
            let (left, right) = (left.parts(context.database), right.parts(context.database));
            context.spend(8 * (left.len() + right.len()));
            left.cmp(&right)
        }
        (Value::MapDiff(left), Value::MapDiff(right)) => compare_maps(&left.new, &right.new, context)
            .then_with(|| compare_maps(&left.old, &right.old, context)),
        _ => match (left.as_map(), right.as_map()) {
            (Some(Ok(left)), Some(Ok(right))) => compare_maps(&left, &right, context),
            _ => rank(left).cmp(&rank(right)),
        },
    }
}

fn compare_elements<'a>(
    mut left: impl Iterator<Item = Value<'a>>,
    mut right: impl Iterator<Item = Value<'a>>,
    context: &mut Context<'a>,
) -> Ordering {
    loop {
        return match (left.next(), right.next()) {
            (Some(left), Some(right)) => match compare(&left, &right, context) {
                Ordering::Equal => continue,
                unequal => unequal,
            },
            (None, None) => Ordering::Equal,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
        };
    }
}

fn compare_maps<'a>(left: &Map<'a>, right: &Map<'a>, context: &mut Context<'a>) -> Ordering {
    let (mut left, mut right) = (left.iter(), right.iter());
    loop {
        return match (left.next(), right.next()) {
            (Some((left_key, left)), Some((right_key, right))) => {
                context.spend(left_key.len().min(right_key.len()));
                match left_key
                    .cmp(&right_key)
                    .then_with(|| compare(&left, &right, context))
                {
                    Ordering::Equal => continue,
                    unequal => unequal,
                }
            }
            (None, None) => Ordering::Equal,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
        };
    }
}

fn rank(value: &Value<'_>) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) => 2,
        Value::Timestamp(_) => 3,
        Value::Duration(_) => 4,
        Value::String(_) => 5,
        Value::Bytes(_) => 6,
        Value::Path(_) => 7,
        Value::LatLng(_) => 8,
        Value::List(_) => 9,
        Value::Set(_) => 10,
        Value::Map(_) | Value::Object(_) => 11,
        Value::MapDiff(_) => 12,
    }
}

/// The values sorted, each once.
pub(crate) fn sorted<'a>(
    values: impl Iterator<Item = Value<'a>>,
    context: &mut Context<'a>,
) -> Vec<Value<'a>> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|left, right| compare(left, right, context));
    values.dedup_by(|left, right| compare(left, right, context).is_eq());
    values
}

/// A set of the values.
pub(crate) fn set_of<'a>(
    values: impl Iterator<Item = Value<'a>>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    let values = sorted(values, context);
    context.check()?;
    Ok(Value::Set(std::sync::Arc::new(Items::new(values)?)))
}

/// Whether a list has an element.
pub(crate) fn contains<'a>(list: &List<'a>, wanted: &Value<'a>, context: &mut Context<'a>) -> bool {
    list.iter().any(|element| equal(&element, wanted, context))
}

/// Whether a set, or what [`sorted`] gave, has an element.
pub(crate) fn contains_sorted<'a>(
    items: &[Value<'a>],
    wanted: &Value<'a>,
    context: &mut Context<'a>,
) -> bool {
    items
        .binary_search_by(|element| compare(element, wanted, context))
        .is_ok()
}
