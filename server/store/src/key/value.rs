//! Values to bytes.

use andiron_protocol::limits::INDEXED_VALUE_BYTES_MAX;
use andiron_protocol::{Direction, Value};

use super::path::encode_path;
use super::text::write_text;
use super::{END, SEPARATOR, direct, tag};

/// Whether an encoded value is all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Values that encode to these bytes are equal to this one.
    Whole,
    /// The value was longer than [`INDEXED_VALUE_BYTES_MAX`]: others may encode to the same bytes, whatever follows there.
    Cut,
}

/// Appends a value, at most [`INDEXED_VALUE_BYTES_MAX`] bytes.
pub fn encode_value(value: &Value, direction: Direction, out: &mut Vec<u8>) -> Extent {
    let start = out.len();
    let end_max = start + INDEXED_VALUE_BYTES_MAX;
    write_value(value, end_max, out);
    let extent = if out.len() > end_max {
        out.truncate(end_max);
        Extent::Cut
    } else {
        Extent::Whole
    };
    direct(direction, out, start);
    extent
}

/// Appends what stands in the place of an element in the one entry of a document whose array has more distinct elements
/// than an index takes ([`ELEMENT_ENTRIES_MAX`](crate::index::ELEMENT_ENTRIES_MAX)). It is less than every element.
pub fn encode_element_overflow(out: &mut Vec<u8>) {
    out.push(tag::ELEMENT_OVERFLOW);
}

/// Writes a value ascending. What is beyond `end_max` (a length of `out`) may be left out, but then `out` is longer than
/// `end_max` afterwards; that also bounds the depth of the recursion.
fn write_value(value: &Value, end_max: usize, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(tag::NULL),
        Value::Boolean(false) => out.push(tag::FALSE),
        Value::Boolean(true) => out.push(tag::TRUE),
        Value::Double(double) if double.is_nan() => out.push(tag::NAN),
        Value::Integer(integer) => write_integer(*integer, out),
        Value::Double(double) => {
            let magnitude = u128::from(double.abs().to_bits()) << REMAINDER_BITS;
            write_magnitude(*double < 0.0, magnitude, out);
        }
        Value::Timestamp(timestamp) => {
            out.push(tag::TIMESTAMP);
            // The sign bit inverted, so that negative numbers stand first.
            let ordered = timestamp.as_micros() ^ i64::MIN;
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        Value::String(text) => {
            out.push(tag::STRING);
            write_text(text.as_bytes(), end_max, out);
        }
        Value::Bytes(bytes) => {
            out.push(tag::BYTES);
            write_text(bytes, end_max, out);
        }
        Value::Reference(path) => {
            out.push(tag::REFERENCE);
            encode_path(path.as_str(), Direction::Ascending, out);
        }
        Value::GeoPoint(point) => {
            out.push(tag::GEO_POINT);
            write_double(point.latitude(), out);
            write_double(point.longitude(), out);
        }
        Value::Array(elements) => {
            out.push(tag::ARRAY);
            for element in elements {
                if out.len() > end_max {
                    return;
                }
                write_value(element, end_max, out);
            }
            out.push(END);
        }
        Value::Vector(elements) => {
            out.push(tag::VECTOR);
            let length = u32::try_from(elements.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            for element in elements {
                if out.len() > end_max {
                    return;
                }
                write_double(*element, out);
            }
        }
        Value::Map(fields) => {
            out.push(tag::MAP);
            for (name, field) in fields {
                if out.len() > end_max {
                    return;
                }
                out.push(SEPARATOR);
                write_text(name.as_bytes(), end_max, out);
                write_value(field, end_max, out);
            }
            out.push(END);
        }
    }
}

/// Bits of a double's magnitude: exponent and fraction.
const DOUBLE_BITS: u32 = 63;
/// Bits behind them for what an integer has beyond the largest double that is not above it: less than 2^10, made a whole
/// number of groups.
const REMAINDER_BITS: u32 = 14;
/// Bits of magnitude in one byte.
const GROUP_BITS: u32 = 7;
/// The most bytes that a magnitude takes.
pub(super) const MAGNITUDE_BYTES_MAX: usize = ((DOUBLE_BITS + REMAINDER_BITS) / GROUP_BITS) as usize;

fn write_integer(integer: i64, out: &mut Vec<u8>) {
    /// Significant bits of a double.
    const PRECISION_BITS: u32 = f64::MANTISSA_DIGITS;
    let magnitude = integer.unsigned_abs();
    let excess_bits = (u64::BITS - magnitude.leading_zeros()).saturating_sub(PRECISION_BITS);
    let below = magnitude >> excess_bits << excess_bits;
    let remainder = magnitude - below;
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact: `below` has no more significant bits than a double"
    )]
    let double = below as f64;
    let magnitude = (u128::from(double.to_bits()) << REMAINDER_BITS) | u128::from(remainder);
    write_magnitude(integer < 0, magnitude, out);
}

/// Writes a number's magnitude (`DOUBLE_BITS` of its double, then `REMAINDER_BITS`) as groups of 7 bits, the lowest bit
/// of each byte telling whether anything but zeros follows. So trailing zeros take no space (integers to 15 take two
/// bytes, those to 2,047 three, a double at most nine), and order is kept: where two magnitudes first differ, either the
/// groups do, or one has only zeros left and the other more. A negative number has all these bits inverted.
fn write_magnitude(negative: bool, magnitude: u128, out: &mut Vec<u8>) {
    let (tag, mask) = if negative {
        (tag::NUMBER_NEGATIVE, 0xFF)
    } else {
        (tag::NUMBER, 0x00)
    };
    out.push(tag);
    let mut rest = magnitude << (u128::BITS - DOUBLE_BITS - REMAINDER_BITS);
    loop {
        let group = (rest >> (u128::BITS - GROUP_BITS)) as u8;
        rest <<= GROUP_BITS;
        out.push(((group << 1) | u8::from(rest != 0)) ^ mask);
        if rest == 0 {
            return;
        }
    }
}

/// A double in 8 bytes, NaN before all numbers.
fn write_double(double: f64, out: &mut Vec<u8>) {
    let ordered = if double.is_nan() {
        0
    } else {
        // Adding zero turns -0.0 into 0.0. Positive numbers get the sign bit; negative ones are inverted.
        let bits = (double + 0.0).to_bits();
        if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
    };
    out.extend_from_slice(&ordered.to_be_bytes());
}
