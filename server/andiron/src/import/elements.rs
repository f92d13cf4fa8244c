//! The elements of a JSON array, one by one.
//!
//! This only finds where an element begins and ends, so that one that is broken inside does not end the import and no
//! element larger than the limit is ever in memory. Whether it is JSON is for whoever reads it.

use std::io::{BufRead, Result};

use crate::import::RECORD_BYTES_MAX;
use crate::import::lines::{RawRecord, malformed};

/// Reads the elements of an array.
pub(crate) struct Elements<R> {
    input: R,
    line: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    BeforeArray,
    BeforeFirst,
    AfterElement,
    AfterComma,
    End,
}

/// Where the scan of an element is.
enum Inside {
    /// In objects and arrays, so many of them open.
    Brackets(u64),
    /// In a string within so many open brackets.
    Text { brackets: u64, escaped: bool },
    /// In a number or a word.
    Bare,
}

impl<R: BufRead> Elements<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            state: State::BeforeArray,
        }
    }

    /// Reads the next element into `into`, whatever was there; `None` at the end of the array.
    pub(crate) fn next(&mut self, into: &mut Vec<u8>) -> Result<Option<RawRecord>> {
        loop {
            let Some(byte) = self.next_visible()? else {
                return match self.state {
                    State::End => Ok(None),
                    _ => Err(malformed(self.line, "the file ends before its array does")),
                };
            };
            self.state = match (self.state, byte) {
                (State::BeforeArray, b'[') => State::BeforeFirst,
                (State::BeforeArray, _) => {
                    return Err(malformed(
                        self.line,
                        "a JSON array is expected; for one JSON object a line use --format ndjson",
                    ));
                }
                (State::BeforeFirst | State::AfterElement, b']') => State::End,
                (State::AfterElement, b',') => State::AfterComma,
                (State::AfterElement, _) => {
                    return Err(malformed(
                        self.line,
                        "a comma or the end of the array is expected",
                    ));
                }
                (State::BeforeFirst | State::AfterComma, b',' | b']') => {
                    return Err(malformed(self.line, "an element of the array is missing"));
                }
                (State::BeforeFirst | State::AfterComma, first) => {
                    self.state = State::AfterElement;
                    return self.element(first, into).map(Some);
                }
                (State::End, _) => {
                    return Err(malformed(self.line, "something follows the end of the array"));
                }
            };
        }
    }

    /// The next byte that is no whitespace.
    fn next_visible(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.input.fill_buf()?;
            let Some(&byte) = buffer.first() else {
                return Ok(None);
            };
            self.input.consume(1);
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                visible => return Ok(Some(visible)),
            }
        }
    }

    /// Reads on from an element's first byte to its end.
    fn element(&mut self, first: u8, into: &mut Vec<u8>) -> Result<RawRecord> {
        into.clear();
        into.push(first);
        let line = self.line;
        let mut too_long = false;
        let mut inside = match first {
            b'{' | b'[' => Inside::Brackets(1),
            b'"' => Inside::Text {
                brackets: 0,
                escaped: false,
            },
            _ => Inside::Bare,
        };
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return match inside {
                    Inside::Bare => Ok(RawRecord { line, too_long }),
                    _ => Err(malformed(
                        line,
                        "the file ends within the element that begins here",
                    )),
                };
            }
            let (used, is_done) = scan(buffer, &mut inside);
            too_long |= into.len() + used > RECORD_BYTES_MAX;
            if !too_long {
                into.extend_from_slice(&buffer[..used]);
            }
            self.line += count_lines(&buffer[..used]);
            self.input.consume(used);
            if is_done {
                return Ok(RawRecord { line, too_long });
            }
        }
    }
}

/// How many bytes still belong to the element, and whether it ends with them.
fn scan(buffer: &[u8], inside: &mut Inside) -> (usize, bool) {
    for (place, &byte) in buffer.iter().enumerate() {
        match inside {
            Inside::Bare => {
                if matches!(byte, b',' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                    return (place, true);
                }
            }
            Inside::Brackets(open) => match byte {
                b'{' | b'[' => *open += 1,
                b'}' | b']' => {
                    *open -= 1;
                    if *open == 0 {
                        return (place + 1, true);
                    }
                }
                b'"' => {
                    *inside = Inside::Text {
                        brackets: *open,
                        escaped: false,
                    };
                }
                _ => {}
            },
            Inside::Text {
                escaped: true,
                brackets,
            } => {
                *inside = Inside::Text {
                    brackets: *brackets,
                    escaped: false,
                };
            }
            Inside::Text { brackets, escaped } => match byte {
                b'\\' => *escaped = true,
                b'"' if *brackets == 0 => return (place + 1, true),
                b'"' => *inside = Inside::Brackets(*brackets),
                _ => {}
            },
        }
    }
    (buffer.len(), false)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// The elements with their lines, read through a buffer so small that everything falls across its edges, and the
    /// error that ended them.
    fn read(text: &str) -> (Vec<(u64, String)>, Option<String>) {
        let mut elements = Elements::new(BufReader::with_capacity(2, text.as_bytes()));
        let (mut found, mut buffer) = (Vec::new(), Vec::new());
        loop {
            match elements.next(&mut buffer) {
                Ok(Some(record)) => {
                    found.push((record.line, String::from_utf8(buffer.clone()).unwrap()));
                }
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    fn texts(text: &str) -> Vec<String> {
        let (found, error) = read(text);
        assert_eq!(error, None, "{text}");
        found.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn elements_of_every_kind_are_found_whole() {
        assert_eq!(texts(" [ ] "), [""; 0]);
        assert_eq!(
            texts(r#"[{"a":[1,{"b":"]}\"\\"}]} , "x,]" ,12,null,[[]],{"é":"\\\""}]"#),
            [
                r#"{"a":[1,{"b":"]}\"\\"}]}"#,
                r#""x,]""#,
                "12",
                "null",
                "[[]]",
                r#"{"é":"\\\""}"#
            ]
        );
    }

    #[test]
    fn an_element_is_known_by_the_line_it_begins_on() {
        let (found, _) = read("[\n{\n\"a\": 1\n},\n\n{}\n]\n");
        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 6]);
    }

    #[test]
    fn an_element_that_is_broken_inside_does_not_end_the_array() {
        assert_eq!(
            texts(r#"[{"a":},{"b":01,},nul,{"c"}]"#),
            [r#"{"a":}"#, r#"{"b":01,}"#, "nul", r#"{"c"}"#]
        );
    }

    #[test]
    fn an_array_that_is_broken_ends_with_a_line_and_a_reason() {
        for (text, expected) in [
            ("{\"a\":1}", "line 1: a JSON array is expected"),
            ("[\n{} {}]", "line 2: a comma or the end"),
            ("[{},]", "line 1: an element of the array is missing"),
            ("[,{}]", "line 1: an element of the array is missing"),
            ("[{}\n", "line 2: the file ends before"),
            ("[\n{\"a\":\n1", "line 2: the file ends within"),
            ("[{}]\n\n x", "line 3: something follows"),
            ("", "line 1: the file ends before"),
        ] {
            let (_, error) = read(text);
            assert!(
                error.as_deref().unwrap_or_default().starts_with(expected),
                "{text}: {error:?}"
            );
        }
    }

    #[test]
    fn an_element_beyond_the_limit_is_passed_over() {
        let long = "x".repeat(RECORD_BYTES_MAX);
        let text = format!("[\"{long}\",1]");
        let mut elements = Elements::new(text.as_bytes());
        let mut buffer = Vec::new();
        assert!(elements.next(&mut buffer).unwrap().unwrap().too_long);
        assert!(buffer.len() <= RECORD_BYTES_MAX);
        assert!(!elements.next(&mut buffer).unwrap().unwrap().too_long);
        assert_eq!(buffer, b"1");
    }
}
