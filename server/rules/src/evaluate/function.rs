//! The functions that need no declaration: casts, `debug`, and those of the namespaces.
//!
//! Which there are and what they take, the tables of [`language`](crate::language) say; arguments are checked against them
//! first. Left out: the look-ups of documents, which are the evaluator's.

use andiron_protocol::GeoPoint;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::context::Context;
use super::fault::Fault;
use super::method::check_arguments;
use super::operator;
use super::time::midnight;
use super::value::{NANOS_PER_SECOND, Octets, Part, Path, Text, Value, float_text};
use crate::language::{Builtin, BuiltinId};

/// `function(arguments)`
pub(crate) fn call<'a>(
    builtin: &Builtin,
    arguments: &[Value<'a>],
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    if builtin.parameters.len() != arguments.len() {
        return Err(Fault::FunctionNotFound(builtin.name.into()));
    }
    check_arguments(builtin.parameters, arguments, || match builtin.namespace {
        Some(namespace) => format!("{}.{}", namespace.as_str(), builtin.name),
        None => builtin.name.to_owned(),
    })?;
    apply(builtin.id, arguments, context)
}

/// A function with arguments that its parameters allow.
fn apply<'a>(
    function: BuiltinId,
    arguments: &[Value<'a>],
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (function, arguments) {
        (BuiltinId::Debug, [value]) => Ok(value.clone()),
        (BuiltinId::Int, [value]) => to_int(value),
        (BuiltinId::Float, [value]) => to_float(value),
        (BuiltinId::String, [Value::String(text)]) => Ok(Value::String(text.clone())),
        (BuiltinId::String, [Value::Null]) => Ok(Value::string("null")),
        (BuiltinId::String, [value]) => match value {
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Path(_) => {
                let text = to_text(value, context)?;
                context.reserve(text.len())?;
                Ok(Value::string(text))
            }
            _ => not_found(function),
        },
        (BuiltinId::Path, [Value::String(text)]) => to_path(text, context),
        (BuiltinId::MathIsNan, [Value::Float(number)]) => Ok(Value::Bool(number.is_nan())),
        (BuiltinId::MathIsInfinite, [Value::Float(number)]) => Ok(Value::Bool(number.is_infinite())),
        (BuiltinId::MathIsNan | BuiltinId::MathIsInfinite, [Value::Int(_)]) => Ok(Value::Bool(false)),
        (BuiltinId::MathAbs, [Value::Int(number)]) => {
            number.checked_abs().map(Value::Int).ok_or(Fault::Overflow)
        }
        (BuiltinId::MathAbs, [Value::Float(number)]) => Ok(Value::Float(number.abs())),
        (BuiltinId::MathCeil | BuiltinId::MathFloor | BuiltinId::MathRound, [Value::Int(number)]) => {
            Ok(Value::Int(*number))
        }
        (BuiltinId::MathCeil, [Value::Float(number)]) => integer(number.ceil()),
        (BuiltinId::MathFloor, [Value::Float(number)]) => integer(number.floor()),
        (BuiltinId::MathRound, [Value::Float(number)]) => integer(number.round()),
        (BuiltinId::MathSqrt, [number]) => match as_float(number) {
            Some(number) => Ok(Value::Float(number.sqrt())),
            None => not_found(function),
        },
        (BuiltinId::MathPow, [base, exponent]) => match (as_float(base), as_float(exponent)) {
            (Some(base), Some(exponent)) => Ok(Value::Float(base.powf(exponent))),
            _ => not_found(function),
        },
        (
            BuiltinId::HashingMd5
            | BuiltinId::HashingSha256
            | BuiltinId::HashingCrc32
            | BuiltinId::HashingCrc32c,
            [value],
        ) => {
            let bytes: &[u8] = match value {
                Value::String(text) => text.as_bytes(),
                Value::Bytes(bytes) => bytes,
                _ => return not_found(function),
            };
            context.reserve(bytes.len())?;
            Ok(Value::Bytes(Octets::Shared(digest(function, bytes))))
        }
        (BuiltinId::TimestampDate, [Value::Int(year), Value::Int(month), Value::Int(day)]) => {
            match midnight(*year, *month, *day) {
                Some(nanos) => Ok(Value::Timestamp(nanos)),
                None => Err(Fault::invalid(format!("there is no day {year}-{month}-{day}"))),
            }
        }
        (BuiltinId::TimestampValue, [Value::Int(millis)]) => {
            operator::timestamp(i128::from(*millis) * 1_000_000)
        }
        (BuiltinId::DurationValue, [Value::Int(number), Value::String(unit)]) => {
            let nanos = match &**unit {
                "w" => 7 * 86_400 * NANOS_PER_SECOND,
                "d" => 86_400 * NANOS_PER_SECOND,
                "h" => 3600 * NANOS_PER_SECOND,
                "m" => 60 * NANOS_PER_SECOND,
                "s" => NANOS_PER_SECOND,
                "ms" => 1_000_000,
                "ns" => 1,
                _ => {
                    return Err(Fault::invalid(
                        "the unit of a duration is `w`, `d`, `h`, `m`, `s`, `ms` or `ns`",
                    ));
                }
            };
            operator::duration(i128::from(*number) * nanos)
        }
        (
            BuiltinId::DurationTime,
            [
                Value::Int(hours),
                Value::Int(minutes),
                Value::Int(seconds),
                Value::Int(nanos),
            ],
        ) => operator::duration(
            (i128::from(*hours) * 3600 + i128::from(*minutes) * 60 + i128::from(*seconds)) * NANOS_PER_SECOND
                + i128::from(*nanos),
        ),
        (BuiltinId::DurationAbs, [Value::Duration(nanos)]) => Ok(Value::Duration(nanos.abs())),
        (BuiltinId::LatLngValue, [latitude, longitude]) => match (as_float(latitude), as_float(longitude)) {
            (Some(latitude), Some(longitude)) => match GeoPoint::new(latitude, longitude) {
                Some(point) => Ok(Value::LatLng(point)),
                None => Err(Fault::invalid(
                    "a latitude is within ±90 degrees, a longitude within ±180",
                )),
            },
            _ => not_found(function),
        },
        _ => not_found(function),
    }
}

/// What is left when function and arguments do not belong together, which the tables keep from happening.
fn not_found<'a>(function: BuiltinId) -> Result<Value<'a>, Fault> {
    Err(Fault::FunctionNotFound(format!("{function:?}").into()))
}

fn as_float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// A float without a fraction as an integer, if it fits.
fn integer<'a>(number: f64) -> Result<Value<'a>, Fault> {
    // 2^63; its negative is the smallest integer.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if !(-BEYOND..BEYOND).contains(&number) {
        return Err(Fault::Overflow);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    let integer = number as i64;
    Ok(Value::Int(integer))
}

fn to_int<'a>(value: &Value<'a>) -> Result<Value<'a>, Fault> {
    match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        Value::Float(number) => integer(number.trunc()),
        Value::String(text) => match text.parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => Err(Fault::invalid("the string is not an int")),
        },
        _ => not_found(BuiltinId::Int),
    }
}

fn to_float<'a>(value: &Value<'a>) -> Result<Value<'a>, Fault> {
    match value {
        Value::String(text) => match text.parse() {
            Ok(number) => Ok(Value::Float(number)),
            Err(_) => Err(Fault::invalid("the string is not a float")),
        },
        _ => match as_float(value) {
            Some(number) => Ok(Value::Float(number)),
            None => not_found(BuiltinId::Float),
        },
    }
}

/// What `string` makes of a value, and `join` of an element.
pub(crate) fn to_text<'a>(value: &Value<'a>, context: &Context<'a>) -> Result<String, Fault> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float_text(*number),
        Value::String(text) => (**text).to_owned(),
        Value::Path(path) => path.to_text(context.database),
        other => {
            return Err(Fault::unsupported(
                format!("string({})", other.type_name()),
                "string(bool, int, float, null, path or string)",
            ));
        }
    })
}

fn to_path<'a>(text: &Text<'a>, context: &mut Context<'a>) -> Result<Value<'a>, Fault> {
    context.reserve(text.len())?;
    let owned = |segment: &str| Part::Segment(Text::from(segment.to_owned()));
    let parts = match text {
        Text::Borrowed(text) => segments(text)
            .map(|segment| Part::Segment(Text::Borrowed(segment)))
            .collect(),
        Text::Shared(text) => segments(text).map(owned).collect(),
    };
    Ok(Value::Path(Path::Built(parts)))
}

/// The segments of a path as text; slashes at its ends do not matter.
fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

fn digest(function: BuiltinId, bytes: &[u8]) -> std::sync::Arc<[u8]> {
    match function {
        BuiltinId::HashingMd5 => Md5::digest(bytes).as_slice().into(),
        BuiltinId::HashingSha256 => Sha256::digest(bytes).as_slice().into(),
        BuiltinId::HashingCrc32 => crc(&CRC32, bytes).to_le_bytes().as_slice().into(),
        _ => crc(&CRC32C, bytes).to_le_bytes().as_slice().into(),
    }
}

static CRC32: [u32; 256] = crc_table(0xedb8_8320);
static CRC32C: [u32; 256] = crc_table(0x82f6_3b78);

/// The table of a cyclic redundancy check by its polynomial, lowest bit first.
const fn crc_table(polynomial: u32) -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut remainder = index as u32;
        let mut bit = 0;
        while bit < 8 {
            let mask = (remainder & 1).wrapping_neg();
            remainder = (remainder >> 1) ^ (polynomial & mask);
            bit += 1;
        }
        table[index] = remainder;
        index += 1;
    }
    table
}

fn crc(table: &[u32; 256], bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |remainder, byte| {
        (remainder >> 8) ^ table[usize::from((remainder as u8) ^ byte)]
    })
}
