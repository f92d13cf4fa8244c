//! Ranges of keys. All bounds are byte strings to append to a common beginning: the first one inclusive, the second
//! exclusive.

use andiron_protocol::limits::INDEXED_VALUE_BYTES_MAX;
use andiron_protocol::{Direction, TypeClass};

use super::text::write_content;
use super::{direct, tag};

/// The range of all values of a class.
pub fn class_bounds(class: TypeClass, direction: Direction) -> (Vec<u8>, Vec<u8>) {
    let (first, last) = match class {
        TypeClass::Null => (tag::NULL, tag::NULL),
        TypeClass::Boolean => (tag::FALSE, tag::TRUE),
        TypeClass::Nan => (tag::NAN, tag::NAN),
        TypeClass::Number => (tag::NUMBER_NEGATIVE, tag::NUMBER),
        TypeClass::Timestamp => (tag::TIMESTAMP, tag::TIMESTAMP),
        TypeClass::String => (tag::STRING, tag::STRING),
        TypeClass::Bytes => (tag::BYTES, tag::BYTES),
        TypeClass::Reference => (tag::REFERENCE, tag::REFERENCE),
        TypeClass::GeoPoint => (tag::GEO_POINT, tag::GEO_POINT),
        TypeClass::Array => (tag::ARRAY, tag::ARRAY),
        TypeClass::Vector => (tag::VECTOR, tag::VECTOR),
        TypeClass::Map => (tag::MAP, tag::MAP),
    };
    match direction {
        Direction::Ascending => (vec![first], vec![last + 1]),
        Direction::Descending => (vec![!last], vec![!first + 1]),
    }
}

/// The range of all strings that begin with `prefix`. Where the prefix itself is beyond the limit of an indexed value,
/// the range also holds others, which share the part of it that fits.
pub fn string_prefix_bounds(prefix: &str, direction: Direction) -> (Vec<u8>, Vec<u8>) {
    let mut lower = vec![tag::STRING];
    write_content(prefix.as_bytes(), INDEXED_VALUE_BYTES_MAX, &mut lower);
    lower.truncate(INDEXED_VALUE_BYTES_MAX);
    direct(direction, &mut lower, 0);
    // A tag is never 0xFF, in neither direction, so there always is a successor.
    let upper = prefix_successor(&lower).unwrap_or_default();
    (lower, upper)
}

/// The least bytes that are greater than all that begin with `prefix`; `None` if there are none, which is so for the
/// empty prefix and for one of bytes 0xFF alone.
pub fn prefix_successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut successor = prefix[..=last].to_vec();
    successor[last] += 1;
    Some(successor)
}
