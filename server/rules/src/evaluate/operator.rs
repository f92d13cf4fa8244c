//! The operators that are strict: every operand has a value before they are applied.

use std::collections::BTreeMap;

use super::compare::{contains, contains_sorted, equal};
use super::context::Context;
use super::fault::Fault;
use super::time::{is_duration, is_timestamp};
use super::value::{Map, Part, Path, Value};
use crate::syntax::BinaryOperator;

/// `left operator right`
pub(crate) fn binary<'a>(
    operator: BinaryOperator,
    left: &Value<'a>,
    right: &Value<'a>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match operator {
        BinaryOperator::Equal => Ok(Value::Bool(equal(left, right, context))),
        BinaryOperator::NotEqual => Ok(Value::Bool(!equal(left, right, context))),
        BinaryOperator::Less
        | BinaryOperator::LessOrEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterOrEqual => relation(operator, left, right, context).map(Value::Bool),
        BinaryOperator::In => is_in(left, right, context).map(Value::Bool),
        BinaryOperator::Add
        | BinaryOperator::Subtract
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Remainder => arithmetic(operator, left, right, context),
        // These are not strict; the evaluator knows them.
        BinaryOperator::Or | BinaryOperator::And | BinaryOperator::Coalesce => {
            Err(unsupported(operator, left, right, "bool"))
        }
    }
}

fn unsupported(operator: BinaryOperator, left: &Value<'_>, right: &Value<'_>, expected: &str) -> Fault {
    if matches!(left, Value::Null) || matches!(right, Value::Null) {
        return Fault::Null;
    }
    let sign = operator.as_str();
    Fault::unsupported(
        format!("{} {sign} {}", left.type_name(), right.type_name()),
        format!("{expected} {sign} {expected}"),
    )
}

fn relation<'a>(
    operator: BinaryOperator,
    left: &Value<'a>,
    right: &Value<'a>,
    context: &mut Context<'a>,
) -> Result<bool, Fault> {
    let ordering = match (left, right) {
        // NaN is neither below nor above anything.
        (Value::Float(number), Value::Int(_) | Value::Float(_)) | (Value::Int(_), Value::Float(number))
            if number.is_nan() =>
        {
            return Ok(false);
        }
        (Value::Float(_), Value::Float(number)) if number.is_nan() => return Ok(false),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_))
        | (Value::String(_), Value::String(_))
        | (Value::Timestamp(_), Value::Timestamp(_))
        | (Value::Duration(_), Value::Duration(_)) => super::compare::compare(left, right, context),
        _ => return Err(unsupported(operator, left, right, "number")),
    };
    Ok(match operator {
        BinaryOperator::Less => ordering.is_lt(),
        BinaryOperator::LessOrEqual => ordering.is_le(),
        BinaryOperator::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    })
}

fn is_in<'a>(left: &Value<'a>, right: &Value<'a>, context: &mut Context<'a>) -> Result<bool, Fault> {
    Ok(match right {
        Value::List(list) => contains(list, left, context),
        Value::Set(items) => contains_sorted(items, left, context),
        Value::Map(map) => matches!(left, Value::String(key) if map.contains_key(key)),
        Value::Object(object) => matches!(left, Value::String(key) if object.get(key).is_some()),
        Value::Null => return Err(Fault::Null),
        other => {
            return Err(Fault::unsupported(
                format!("{} in {}", left.type_name(), other.type_name()),
                format!("{} in list", left.type_name()),
            ));
        }
    })
}

fn arithmetic<'a>(
    operator: BinaryOperator,
    left: &Value<'a>,
    right: &Value<'a>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => integers(operator, *left, *right).map(Value::Int),
        (Value::Int(left), Value::Float(right)) => Ok(Value::Float(floats(operator, *left as f64, *right))),
        (Value::Float(left), Value::Int(right)) => Ok(Value::Float(floats(operator, *left, *right as f64))),
        (Value::Float(left), Value::Float(right)) => Ok(Value::Float(floats(operator, *left, *right))),
        _ => match (operator, left, right) {
            (BinaryOperator::Add, Value::String(left), Value::String(right)) => {
                context.reserve(left.len() + right.len())?;
                Ok(Value::string([&**left, &**right].concat()))
            }
            (BinaryOperator::Add, Value::Duration(left), Value::Duration(right)) => duration(left + right),
            (BinaryOperator::Subtract, Value::Duration(left), Value::Duration(right)) => {
                duration(left - right)
            }
            (BinaryOperator::Subtract, Value::Timestamp(left), Value::Timestamp(right)) => {
                duration(left - right)
            }
            (BinaryOperator::Add, Value::Timestamp(moment), Value::Duration(length))
            | (BinaryOperator::Add, Value::Duration(length), Value::Timestamp(moment)) => {
                timestamp(moment + length)
            }
            (BinaryOperator::Subtract, Value::Timestamp(moment), Value::Duration(length)) => {
                timestamp(moment - length)
            }
            _ => Err(unsupported(operator, left, right, "number")),
        },
    }
}

fn integers(operator: BinaryOperator, left: i64, right: i64) -> Result<i64, Fault> {
    let result = match operator {
        BinaryOperator::Add => left.checked_add(right),
        BinaryOperator::Subtract => left.checked_sub(right),
        BinaryOperator::Multiply => left.checked_mul(right),
        _ if right == 0 => return Err(Fault::DivideByZero),
        BinaryOperator::Divide => left.checked_div(right),
        // The remainder by -1 is 0 even where the quotient does not fit.
        _ => Some(left.wrapping_rem(right)),
    };
    result.ok_or(Fault::Overflow)
}

fn floats(operator: BinaryOperator, left: f64, right: f64) -> f64 {
    match operator {
        BinaryOperator::Add => left + right,
        BinaryOperator::Subtract => left - right,
        BinaryOperator::Multiply => left * right,
        BinaryOperator::Divide => left / right,
        _ => left % right,
    }
}

/// A timestamp, if there is one so far from 1970.
pub(crate) fn timestamp<'a>(nanos: i128) -> Result<Value<'a>, Fault> {
    if is_timestamp(nanos) {
        Ok(Value::Timestamp(nanos))
    } else {
        Err(Fault::invalid("a timestamp lies in the years 1 to 9999"))
    }
}

/// A duration, if there is one so long.
pub(crate) fn duration<'a>(nanos: i128) -> Result<Value<'a>, Fault> {
    if is_duration(nanos) {
        Ok(Value::Duration(nanos))
    } else {
        Err(Fault::invalid("a duration is at most ten thousand years"))
    }
}

/// `-operand`
pub(crate) fn negate<'a>(operand: &Value<'a>) -> Result<Value<'a>, Fault> {
    match operand {
        Value::Int(integer) => integer.checked_neg().map(Value::Int).ok_or(Fault::Overflow),
        Value::Float(float) => Ok(Value::Float(-float)),
        Value::Null => Err(Fault::Null),
        other => Err(Fault::unsupported(
            format!("-{}", other.type_name()),
            "-number".to_owned(),
        )),
    }
}

/// What `operator` makes of a value that must be a bool.
pub(crate) fn truth(value: &Value<'_>, operator: &str) -> Result<bool, Fault> {
    match value {
        Value::Bool(boolean) => Ok(*boolean),
        Value::Null => Err(Fault::Null),
        other => Err(Fault::unsupported(
            format!("{operator}{}", other.type_name()),
            format!("{operator}bool"),
        )),
    }
}

/// `{key: value, …}` of keys and values in turn.
pub(crate) fn map_of<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Result<Value<'a>, Fault> {
    let mut map = BTreeMap::new();
    let mut values = values.into_iter();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        match key {
            Value::String(key) => {
                map.insert(key, value);
            }
            Value::Null => return Err(Fault::Null),
            other => {
                let received = format!("{{{}: {}}}", other.type_name(), value.type_name());
                let expected = format!("{{string: {}}}", value.type_name());
                return Err(Fault::unsupported(received, expected));
            }
        }
    }
    Map::built(map).map(Value::Map)
}

/// `base[index]`
pub(crate) fn index<'a>(
    base: &Value<'a>,
    index: &Value<'a>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (base, index) {
        (Value::Null, _) => Err(Fault::Null),
        (Value::Map(_) | Value::Object(_), Value::String(key)) => base.member(key),
        (Value::List(list), Value::Int(index)) => {
            let position = position(*index, list.len())?;
            Ok(list.get(position).unwrap_or(Value::Null))
        }
        (Value::String(text), Value::Int(index)) => {
            context.spend(text.len());
            let size = text.chars().count();
            let position = position(*index, size)?;
            let found: String = text.chars().skip(position).take(1).collect();
            Ok(Value::string(found))
        }
        (Value::Path(path), Value::Int(index)) => {
            let parts = path.parts(context.database);
            let position = position(*index, parts.len())?;
            match &parts[position] {
                Part::Segment(segment) => Ok(Value::String(segment.clone())),
                Part::Placeholder { name, .. } => Err(Fault::invalid(format!(
                    "the path's part `{{{}}}` is not bound",
                    &**name
                ))),
            }
        }
        (_, Value::Null) => Err(Fault::Null),
        _ => Err(Fault::unsupported(
            format!("{}[{}]", base.type_name(), index.type_name()),
            "list[int]",
        )),
    }
}

/// An index that is there.
fn position(index: i64, size: usize) -> Result<usize, Fault> {
    usize::try_from(index)
        .ok()
        .filter(|position| *position < size)
        .ok_or(Fault::IndexOutOfBound { index, size })
}

/// `base[start:end]`
pub(crate) fn slice<'a>(
    base: &Value<'a>,
    start: Option<&Value<'a>>,
    end: Option<&Value<'a>>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    let bound = |bound: Option<&Value<'a>>| match bound {
        None => Ok(None),
        Some(Value::Int(bound)) => Ok(Some(*bound)),
        Some(Value::Null) => Err(Fault::Null),
        Some(other) => Err(Fault::unsupported(
            format!("{}[{}:]", base.type_name(), other.type_name()),
            format!("{}[int:int]", base.type_name()),
        )),
    };
    if matches!(base, Value::Null) {
        return Err(Fault::Null);
    }
    let (start, end) = (bound(start)?, bound(end)?);
    match base {
        Value::List(list) => {
            let (start, end) = range(start, end, list.len())?;
            context.reserve((end - start) * size_of::<Value<'_>>())?;
            list.slice(start, end)
        }
        Value::String(text) => {
            context.reserve(text.len())?;
            let (start, end) = range(start, end, text.chars().count())?;
            let part: String = text.chars().skip(start).take(end - start).collect();
            Ok(Value::string(part))
        }
        Value::Path(path) => {
            let parts = path.parts(context.database);
            let (start, end) = range(start, end, parts.len())?;
            Ok(Value::Path(Path::Built(parts[start..end].into())))
        }
        other => Err(Fault::unsupported(
            format!("{}[int:int]", other.type_name()),
            "list[int:int]",
        )),
    }
}

/// The range of a slice, all of which is there. As in the hosted service an end that is written is looked for as the
/// index before it, so that `[0:0]` is an error and `[1:1]` is empty.
fn range(start: Option<i64>, end: Option<i64>, size: usize) -> Result<(usize, usize), Fault> {
    let last = match end {
        Some(end) => {
            let before = end.checked_sub(1).ok_or(Fault::Overflow)?;
            position(before, size)? + 1
        }
        None => size,
    };
    let first = start.unwrap_or(0);
    match usize::try_from(first) {
        Ok(position) if position <= last => Ok((position, last)),
        _ => Err(Fault::IndexOutOfBound { index: first, size }),
    }
}
