//! The rows of a CSV file as data of documents.
//!
//! The first row names the fields. A cell that is empty is a field that is absent; `true` and `false` are booleans; what
//! is written as JSON writes a number is one, unless it is a whole number beyond 64 bits; everything else is text, so
//! `007`, `+1`, `1,5` and `NaN` are. Or all cells are text.

use std::io::{Error, ErrorKind, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use andiron_protocol::{Map, Value};
use csv::{ByteRecord, ReaderBuilder};

use crate::import::RECORD_BYTES_MAX;
use crate::import::lines::malformed;

/// How the cells of a file are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsvOptions {
    /// What separates the cells of a row.
    pub(crate) delimiter: u8,
    /// Whether every cell is text, whatever it looks like.
    pub(crate) all_text: bool,
}

/// Reads the rows.
pub(crate) struct CsvRows<R> {
    reader: csv::Reader<Bounded<R>>,
    consumed: Arc<AtomicUsize>,
    fields: Vec<String>,
    row: ByteRecord,
    all_text: bool,
}

/// A row with its line: data, or the reason why it has none.
pub(crate) type Row = (u64, std::result::Result<Map, String>);

impl<R: Read> CsvRows<R> {
    pub(crate) fn new(input: R, options: CsvOptions) -> Result<Self> {
        let consumed = Arc::new(AtomicUsize::new(0));
        let mut reader = ReaderBuilder::new()
            .delimiter(options.delimiter)
            .flexible(true)
            .from_reader(Bounded {
                input,
                consumed: Arc::clone(&consumed),
            });
        let header = reader.byte_headers().map_err(io_error)?;
        let mut fields = Vec::new();
        for cell in header {
            let name = std::str::from_utf8(cell)
                .map_err(|_| malformed(1, "the names of the fields are not UTF-8"))?;
            if name.is_empty() {
                return Err(malformed(
                    1,
                    "the first row names the fields, and one name is empty",
                ));
            }
            // The reader of documents knows which names there may be.
            let probe = serde_json::json!({ name: null }).to_string();
            if let Err(error) = andiron_protocol::data_from_json(probe.as_bytes()) {
                return Err(malformed(1, &error.detail));
            }
            if fields.iter().any(|field| field == name) {
                return Err(malformed(1, &format!("there are two fields named `{name}`")));
            }
            fields.push(name.to_owned());
        }
        Ok(Self {
            reader,
            consumed,
            fields,
            row: ByteRecord::new(),
            all_text: options.all_text,
        })
    }

    /// The next row; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Row>> {
        self.consumed.store(0, Ordering::Relaxed);
        if !self.reader.read_byte_record(&mut self.row).map_err(io_error)? {
            return Ok(None);
        }
        let line = self.row.position().map_or(0, csv::Position::line);
        Ok(Some((line, self.data())))
    }

    /// The row that was read last, as CSV.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing to memory does not fail, and what is shown is only for people.
        let _ = writer.write_byte_record(&self.row);
        writer.into_inner().unwrap_or_default().trim_ascii_end().to_vec()
    }

    fn data(&self) -> std::result::Result<Map, String> {
        if self.row.len() != self.fields.len() {
            return Err(format!(
                "it has {} cells, and the first row names {} fields",
                self.row.len(),
                self.fields.len()
            ));
        }
        let mut data = Map::new();
        for (field, cell) in self.fields.iter().zip(&self.row) {
            let text = std::str::from_utf8(cell).map_err(|_| format!("its cell `{field}` is not UTF-8"))?;
            if text.is_empty() {
                continue;
            }
            let value = if self.all_text {
                Value::from(text)
            } else {
                value_of(text)
            };
            data.insert(field.clone(), value);
        }
        Ok(data)
    }
}

/// The value that a cell's text means.
fn value_of(text: &str) -> Value {
    match text {
        "true" => return Value::Boolean(true),
        "false" => return Value::Boolean(false),
        _ => {}
    }
    let first = text.bytes().next().unwrap_or_default();
    if first == b'-' || first.is_ascii_digit() {
        // JSON's own definition of a number decides.
        match serde_json::from_str::<serde_json::Number>(text) {
            Ok(number) if !text.contains(['.', 'e', 'E']) => {
                return number.as_i64().map_or_else(|| Value::from(text), Value::Integer);
            }
            Ok(number) => {
                if let Some(double) = number.as_f64().filter(|double| double.is_finite()) {
                    return Value::Double(double);
                }
            }
            Err(_) => {}
        }
    }
    Value::from(text)
}

/// A file that refuses to give more than a record may have for one row: a quotation mark that is never closed would
/// take the rest of the file into memory.
struct Bounded<R> {
    input: R,
    consumed: Arc<AtomicUsize>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.consumed.load(Ordering::Relaxed) > RECORD_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("a row is longer than {RECORD_BYTES_MAX} bytes; is a quotation mark not closed?"),
            ));
        }
        let read = self.input.read(buffer)?;
        self.consumed.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}

fn io_error(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => Error::new(ErrorKind::InvalidData, format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, all_text: bool) -> Vec<Row> {
        let options = CsvOptions {
            delimiter: b',',
            all_text,
        };
        let mut rows = CsvRows::new(text.as_bytes(), options).unwrap();
        std::iter::from_fn(|| rows.next().unwrap()).collect()
    }

    #[test]
    fn cells_become_what_they_look_like_and_nothing_is_lost() {
        for (cell, value) in [
            ("true", Value::Boolean(true)),
            ("True", Value::from("True")),
            ("0", Value::Integer(0)),
            ("-12", Value::Integer(-12)),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("9223372036854775808", Value::from("9223372036854775808")),
            ("1.50", Value::Double(1.5)),
            ("1e3", Value::Double(1000.0)),
            ("1e999", Value::from("1e999")),
            ("007", Value::from("007")),
            ("+1", Value::from("+1")),
            ("1.", Value::from("1.")),
            ("-", Value::from("-")),
            ("NaN", Value::from("NaN")),
            (" 1", Value::from(" 1")),
            ("2026-11-22", Value::from("2026-11-22")),
        ] {
            assert!(
                value_of(cell).is_identical(&value),
                "{cell}: {:?}",
                value_of(cell)
            );
        }
    }

    #[test]
    fn rows_have_lines_and_empty_cells_are_absent() {
        let found = rows("a,b\n1,\n\"x\ny\",2\n,\n", false);
        let expected = [
            (2, Map::from([("a".to_owned(), Value::Integer(1))])),
            (
                3,
                Map::from([
                    ("a".to_owned(), Value::from("x\ny")),
                    ("b".to_owned(), Value::Integer(2)),
                ]),
            ),
            (5, Map::new()),
        ];
        assert_eq!(found, expected.map(|(line, data)| (line, Ok(data))));
        let texts = rows("a\n1\n", true);
        assert_eq!(texts, [(2, Ok(Map::from([("a".to_owned(), Value::from("1"))])))]);
    }

    #[test]
    fn a_row_of_another_length_is_rejected_alone() {
        let found = rows("a,b\n1\n1,2,3\n1,2\n", false);
        assert!(found[0].1.is_err() && found[1].1.is_err() && found[2].1.is_ok());
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_does_not_take_all_memory() {
        let options = CsvOptions {
            delimiter: b',',
            all_text: false,
        };
        let endless = std::io::Read::chain(&b"a\n\""[..], std::io::repeat(b'x'));
        let mut rows = CsvRows::new(endless, options).unwrap();
        let error = rows.next().unwrap_err().to_string();
        assert!(error.contains("quotation mark"), "{error}");
    }
}
