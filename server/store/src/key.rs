//! The order-preserving encoding of values and paths.
//!
//! A key is a concatenation of components: values, ids and paths, each for itself ascending or descending. Keys compare
//! as bytes exactly as their components compare one after the other, because every component is *self-delimiting*: no
//! encoding is the beginning of another, so two keys differ within the first component that differs. Descending is the
//! ascending encoding with every bit inverted.
//!
//! ```text
//! value      tag, then by class:
//!   null, true, false, NaN   nothing
//!   number                   sign in the tag; the magnitude as 7-bit groups (see `write_magnitude`)
//!   timestamp                8 bytes
//!   string, bytes            text
//!   reference                path
//!   geo point                2 × 8 bytes
//!   array                    values, END
//!   vector                   length in 4 bytes, 8 bytes each
//!   map                      for each field SEPARATOR, text, value; END
//! text       bytes, those up to ESCAPE behind an ESCAPE; END
//! path       segments with SEPARATOR between them, escaped as in text; END
//! id         text
//! ```
//!
//! Equal values encode equally: `1` and `1.0`, `0.0` and `-0.0`. So a value cannot be had back from a key, but an id and
//! a path can.
//!
//! A value is cut after [`INDEXED_VALUE_BYTES_MAX`](andiron_protocol::limits::INDEXED_VALUE_BYTES_MAX) bytes. Cut values
//! that share these bytes encode equally though they differ; otherwise the order holds: `a <= b` implies
//! `encoded(a) <= encoded(b)`. A cut shows as a component that is not complete after that many bytes. Ids and paths are
//! never cut, so every entry names its document exactly.
//!
//! The encoding is on disk. Whoever changes it changes the format of every index.

mod cut;
mod path;
mod range;
mod text;
mod value;

pub use cut::cut_at;
pub use path::{decode_id, decode_path, encode_id, encode_path};
pub use range::{class_bounds, prefix_successor, string_prefix_bounds};
pub use value::{Extent, encode_element_overflow, encode_value};

pub(crate) use cut::read_value;

use andiron_protocol::Direction;

/// Ends a text, a path, an array or a map; less than everything that could stand in its place.
const END: u8 = 0x00;
/// Stands between the segments of a path and before each field of a map; less than everything but [`END`].
const SEPARATOR: u8 = 0x01;
/// Stands before a content byte that is not greater than itself.
const ESCAPE: u8 = 0x02;

/// The first byte of a value. Classes have gaps between them for classes to come; no tag is so small or so large that a
/// range of tags had no end.
mod tag {
    /// In the place of an element: the document has too many of them (see `encode_element_overflow`).
    pub(super) const ELEMENT_OVERFLOW: u8 = 0x08;
    pub(super) const NULL: u8 = 0x10;
    pub(super) const FALSE: u8 = 0x18;
    pub(super) const TRUE: u8 = 0x19;
    pub(super) const NAN: u8 = 0x20;
    pub(super) const NUMBER_NEGATIVE: u8 = 0x28;
    pub(super) const NUMBER: u8 = 0x29;
    pub(super) const TIMESTAMP: u8 = 0x30;
    pub(super) const STRING: u8 = 0x38;
    pub(super) const BYTES: u8 = 0x40;
    pub(super) const REFERENCE: u8 = 0x48;
    pub(super) const GEO_POINT: u8 = 0x50;
    pub(super) const ARRAY: u8 = 0x58;
    pub(super) const VECTOR: u8 = 0x60;
    pub(super) const MAP: u8 = 0x68;
}

/// What every byte of a component is combined with by exclusive or.
fn mask(direction: Direction) -> u8 {
    match direction {
        Direction::Ascending => 0x00,
        Direction::Descending => 0xFF,
    }
}

/// Turns the component that begins at `start` from ascending into `direction`.
fn direct(direction: Direction, out: &mut [u8], start: usize) {
    if direction == Direction::Descending {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}
