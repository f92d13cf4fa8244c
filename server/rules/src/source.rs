//! The text of rules files, and places in it.
//!
//! A [`Span`] is a file and two byte offsets; lines and columns are computed from a [`Source`] only where a person or a
//! program is told of them. Offsets always lie on character boundaries of the file that the span names.

use std::sync::Arc;

/// The bytes that one source file may have; longer ones are not read at all. What a *project* accepts is
/// [`Limits::source_bytes_max`](crate::Limits::source_bytes_max), which is smaller.
pub const SOURCE_BYTES_MAX: usize = 16 << 20;

/// A file among the [`Sources`] of one rules program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

impl FileId {
    /// The place of this file in lists with one entry a file.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A stretch of a file, in bytes; `start <= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// A stretch of a file.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        Self {
            file,
            start: offset(start),
            end: offset(end),
        }
    }

    /// From the start of this to the end of `other`, a later stretch of the same file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            end: other.end.max(self.start),
            ..self
        }
    }

    /// The empty stretch at the start.
    #[must_use]
    pub fn at_start(self) -> Self {
        Self {
            end: self.start,
            ..self
        }
    }

    /// The empty stretch at the end.
    #[must_use]
    pub fn at_end(self) -> Self {
        Self {
            start: self.end,
            ..self
        }
    }

    /// The offsets, to slice the file's text with.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a source is at most SOURCE_BYTES_MAX bytes")
}

/// A line and a column, both from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// Why bytes are no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The bytes are not UTF-8.
    #[error("`{name}` is not UTF-8 text: line {}, column {}", position.line, position.column)]
    NotUtf8 {
        /// The file.
        name: String,
        /// Where the first byte is that belongs to no character.
        position: Position,
    },
    /// More than [`SOURCE_BYTES_MAX`].
    #[error("`{name}` has {bytes} bytes; a rules file has at most {SOURCE_BYTES_MAX}")]
    TooLong {
        /// The file.
        name: String,
        /// Its length.
        bytes: usize,
    },
}

/// A file's name and text.
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Where each line starts.
    lines: Vec<u32>,
}

impl Source {
    /// Takes a file's text.
    ///
    /// # Errors
    /// The text is too long.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Result<Self, SourceError> {
        let (name, text) = (name.into(), text.into());
        if text.len() > SOURCE_BYTES_MAX {
            return Err(SourceError::TooLong {
                name: name.to_string(),
                bytes: text.len(),
            });
        }
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(ends.map(|(index, _)| offset(index + 1)))
            .collect();
        Ok(Self { name, text, lines })
    }

    /// Takes a file's bytes.
    ///
    /// # Errors
    /// They are not UTF-8, or too many.
    pub fn from_bytes(name: impl Into<Arc<str>>, bytes: &[u8]) -> Result<Self, SourceError> {
        let name = name.into();
        if bytes.len() > SOURCE_BYTES_MAX {
            return Err(SourceError::TooLong {
                name: name.to_string(),
                bytes: bytes.len(),
            });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(name, text),
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
                let source = Self::new(name, good)?;
                Err(SourceError::NotUtf8 {
                    position: source.position(offset(source.text.len())),
                    name: source.name.to_string(),
                })
            }
        }
    }

    /// The name, as diagnostics show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a byte offset lies; an offset past the end counts as the end.
    pub fn position(&self, offset: u32) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines[line - 1] as usize;
        let before = &self.text[start..(offset as usize).clamp(start, self.text.len())];
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position {
            line: number(line),
            column: number(before.chars().count() + 1),
        }
    }

    /// The text of a line (from 1), without its line break; empty for lines that the file does not have.
    pub fn line(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.lines.get(index) else {
            return "";
        };
        let end = self
            .lines
            .get(index + 1)
            .map_or(self.text.len(), |next| *next as usize);
        self.text[*start as usize..end].trim_end_matches(['\n', '\r'])
    }
}

/// The files of one rules program.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, source: Source) -> FileId {
        let id = FileId(offset(self.files.len()));
        self.files.push(source);
        id
    }

    /// A file that was added here.
    pub fn get(&self, id: FileId) -> &Source {
        &self.files[id.index()]
    }

    /// All files, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FileId, &Source)> {
        self.files
            .iter()
            .enumerate()
            .map(|(index, source)| (FileId(offset(index)), source))
    }

    /// The text of a stretch.
    pub fn text(&self, span: Span) -> &str {
        &self.get(span.file).text[span.range()]
    }

    /// Where a stretch starts.
    pub fn position(&self, span: Span) -> Position {
        self.get(span.file).position(span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("a.rules", "ab\né😀x\r\n\nend").unwrap();
        let at = |offset: u32| {
            let position = source.position(offset);
            (position.line, position.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(5), (2, 2));
        assert_eq!(at(9), (2, 3));
        assert_eq!(at(12), (3, 1));
        assert_eq!(at(13), (4, 1));
        assert_eq!(at(999), (4, 4));
        assert_eq!(source.line(2), "é😀x");
        assert_eq!(source.line(3), "");
        assert_eq!(source.line(9), "");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_place() {
        let error = Source::from_bytes("a.rules", b"one\ntw\xc3\x28").unwrap_err();
        assert_eq!(error.to_string(), "`a.rules` is not UTF-8 text: line 2, column 3");
    }
}
