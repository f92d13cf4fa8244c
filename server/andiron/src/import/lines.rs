//! The lines of an NDJSON file, one by one, none longer than the limit ever in memory.

use std::io::{BufRead, Error, ErrorKind, Result};

use crate::import::RECORD_BYTES_MAX;

/// A record as it stands in the file; its bytes are in the buffer of whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawRecord {
    /// The 1-based line it begins on.
    pub(crate) line: u64,
    /// Whether it is longer than the limit, and not in the buffer.
    pub(crate) too_long: bool,
}

/// Reads the lines that hold something.
pub(crate) struct Lines<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// Reads the next line that is not blank into `into`, whatever was there; `None` at the end of the file.
    pub(crate) fn next(&mut self, into: &mut Vec<u8>) -> Result<Option<RawRecord>> {
        loop {
            into.clear();
            self.line += 1;
            let mut too_long = false;
            let mut is_end = true;
            loop {
                let buffer = self.input.fill_buf()?;
                if buffer.is_empty() {
                    break;
                }
                is_end = false;
                let end = buffer.iter().position(|byte| *byte == b'\n');
                let part = &buffer[..end.unwrap_or(buffer.len())];
                too_long |= into.len() + part.len() > RECORD_BYTES_MAX;
                if !too_long {
                    into.extend_from_slice(part);
                }
                let used = end.map_or(buffer.len(), |end| end + 1);
                self.input.consume(used);
                if end.is_some() {
                    break;
                }
            }
            if is_end {
                return Ok(None);
            }
            if too_long || !into.trim_ascii().is_empty() {
                let line = self.line;
                return Ok(Some(RawRecord { line, too_long }));
            }
        }
    }
}

/// A file that cannot be read any further, because its structure is broken from this line on.
pub(crate) fn malformed(line: u64, detail: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("line {line}: {detail}"))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn blank_lines_are_passed_over_but_counted() {
        let text = "{\"a\":1}\r\n\n  \n[2]\n\n3";
        let mut lines = Lines::new(BufReader::with_capacity(3, text.as_bytes()));
        let (mut found, mut buffer) = (Vec::new(), Vec::new());
        while let Some(record) = lines.next(&mut buffer).unwrap() {
            found.push((record.line, String::from_utf8(buffer.clone()).unwrap()));
        }
        assert_eq!(
            found,
            [
                (1, "{\"a\":1}\r".to_owned()),
                (4, "[2]".to_owned()),
                (6, "3".to_owned())
            ]
        );
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over() {
        let text = format!("{}\n1\n", "x".repeat(RECORD_BYTES_MAX + 1));
        let mut lines = Lines::new(text.as_bytes());
        let mut buffer = Vec::new();
        assert!(lines.next(&mut buffer).unwrap().unwrap().too_long);
        assert_eq!(
            lines.next(&mut buffer).unwrap(),
            Some(RawRecord {
                line: 2,
                too_long: false
            })
        );
    }
}
