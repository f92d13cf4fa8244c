//! Finding the ends of components, and so whether one was cut.

use andiron_protocol::Direction;
use andiron_protocol::limits::INDEXED_VALUE_BYTES_MAX;

use crate::index::{IndexDefinition, IndexScope};

use super::path::decode_path;
use super::value::MAGNITUDE_BYTES_MAX;
use super::{END, ESCAPE, Extent, SEPARATOR, mask, tag};

/// Where the first cut value of an entry's key ends; `None` if no value was cut, or if the key is not one of the
/// definition. Entries that share the bytes up to there are ordered among themselves only by what follows the cut, so a
/// query that relies on the order sorts such a run by the documents' own values.
///
/// Costs nothing where the key is too short to hold a cut value.
pub fn cut_at(key: &[u8], definition: &IndexDefinition) -> Option<usize> {
    // A cut value has the full length, and the document's id or path follows.
    if key.len() <= INDEXED_VALUE_BYTES_MAX {
        return None;
    }
    let mut position = match definition.scope {
        IndexScope::Collection => decode_path(key, Direction::Ascending)?.1,
        IndexScope::Group => 0,
    };
    for field in &definition.fields {
        let component = read_value(&key[position..], field.kind.direction())?;
        position += component.bytes;
        if component.extent == Extent::Cut {
            return Some(position);
        }
    }
    None
}

/// A value found at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// How many bytes it takes.
    pub(crate) bytes: usize,
    /// Whether it is complete after them.
    pub(crate) extent: Extent,
}

/// Finds the end of the value at the beginning of `bytes`; `None` if there is none.
pub(crate) fn read_value(bytes: &[u8], direction: Direction) -> Option<Component> {
    let window = &bytes[..bytes.len().min(INDEXED_VALUE_BYTES_MAX)];
    let mut reader = Reader {
        bytes: window,
        position: 0,
        mask: mask(direction),
    };
    match reader.skip_value() {
        Ok(()) => Some(Component {
            bytes: reader.position,
            extent: Extent::Whole,
        }),
        Err(Stop::AtEnd) if window.len() == INDEXED_VALUE_BYTES_MAX => Some(Component {
            bytes: window.len(),
            extent: Extent::Cut,
        }),
        Err(_) => None,
    }
}

/// Why a value has no end.
enum Stop {
    /// The bytes end before.
    AtEnd,
    /// No value is encoded like this.
    Invalid,
}

/// A container that is open.
#[derive(Clone, Copy)]
enum Container {
    Array,
    Map,
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    mask: u8,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.position).ok_or(Stop::AtEnd)?;
        self.position += 1;
        Ok(byte ^ self.mask)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Stop> {
        if self.bytes.len() - self.position < bytes {
            return Err(Stop::AtEnd);
        }
        self.position += bytes;
        Ok(())
    }

    /// Skips escaped bytes up to their end.
    fn skip_text(&mut self, separators: bool) -> Result<(), Stop> {
        loop {
            match self.next()? {
                END => return Ok(()),
                SEPARATOR if !separators => return Err(Stop::Invalid),
                ESCAPE if self.next()? > ESCAPE => return Err(Stop::Invalid),
                _ => {}
            }
        }
    }

    fn skip_magnitude(&mut self, mask: u8) -> Result<(), Stop> {
        for _ in 0..MAGNITUDE_BYTES_MAX {
            if (self.next()? ^ mask) & 1 == 0 {
                return Ok(());
            }
        }
        Err(Stop::Invalid)
    }

    /// Skips one value with all that it contains. Not recursive, so that no bytes, however deep, can exhaust the stack.
    fn skip_value(&mut self) -> Result<(), Stop> {
        let mut open: Vec<Container> = Vec::new();
        loop {
            match self.next()? {
                tag::NULL | tag::FALSE | tag::TRUE | tag::NAN => {}
                tag::ELEMENT_OVERFLOW if open.is_empty() => {}
                tag::NUMBER_NEGATIVE => self.skip_magnitude(0xFF)?,
                tag::NUMBER => self.skip_magnitude(0x00)?,
                tag::TIMESTAMP => self.skip(8)?,
                tag::STRING | tag::BYTES => self.skip_text(false)?,
                tag::REFERENCE => self.skip_text(true)?,
                tag::GEO_POINT => self.skip(16)?,
                tag::VECTOR => {
                    let mut length: usize = 0;
                    for _ in 0..4 {
                        length = length << 8 | usize::from(self.next()?);
                    }
                    self.skip(length.saturating_mul(8))?;
                }
                tag::ARRAY => open.push(Container::Array),
                tag::MAP => open.push(Container::Map),
                _ => return Err(Stop::Invalid),
            }
            // After a value: containers that end here end, and in the innermost open one the next value is looked for.
            loop {
                match open.last() {
                    None => return Ok(()),
                    Some(Container::Array) => {
                        if self.peek()? != END {
                            break;
                        }
                        self.position += 1;
                    }
                    Some(Container::Map) => match self.next()? {
                        END => {}
                        SEPARATOR => {
                            self.skip_text(false)?;
                            break;
                        }
                        _ => return Err(Stop::Invalid),
                    },
                }
                open.pop();
            }
        }
    }

    fn peek(&self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.position).ok_or(Stop::AtEnd)?;
        Ok(byte ^ self.mask)
    }
}
