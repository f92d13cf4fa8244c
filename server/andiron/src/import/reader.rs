//! The file: what form it has, and its records as a stream.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use andiron_protocol::CollectionPath;
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

pub(crate) use crate::import::csv_rows::CsvOptions;

use crate::AndironError;
use crate::import::RECORD_BYTES_MAX;
use crate::import::csv_rows::CsvRows;
use crate::import::elements::Elements;
use crate::import::ids::Fingerprint;
use crate::import::lines::{Lines, RawRecord};
use crate::import::record::{Destination, NewDocument, Place, Rejection, is_whole_document};

/// Bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values, the first row naming the fields
    Csv,
}

/// What is to become of the file's records.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// `None` recognises it.
    pub(crate) format: Option<Format>,
    /// `None` takes whole documents, each with its path.
    pub(crate) collection: Option<CollectionPath>,
    /// The field that holds the id.
    pub(crate) id_field: Option<String>,
    pub(crate) csv: CsvOptions,
}

/// A file that is open, or standard input.
pub(crate) struct Source {
    name: PathBuf,
    input: Box<dyn Read + Send>,
    /// `None` if nobody knows how long it is: a pipe.
    pub(crate) bytes: Option<u64>,
    fingerprint: Fingerprint,
}

impl Source {
    /// Opens a file, `-` being standard input. A plain file is read through once for its fingerprint; what can be read
    /// only once gets a random one, so that records without ids get new ids each time.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn open(path: &Path, format: Option<Format>) -> Result<Self, AndironError> {
        let reading = |source| AndironError::File {
            doing: "reading",
            path: path.to_owned(),
            source,
        };
        if path == Path::new("-") {
            return Ok(Self::piped(path, Box::new(std::io::stdin())));
        }
        let file = File::open(path).map_err(reading)?;
        let metadata = file.metadata().map_err(reading)?;
        if metadata.is_dir() {
            return Err(reading(std::io::ErrorKind::IsADirectory.into()));
        }
        if !metadata.is_file() {
            return Ok(Self::piped(path, Box::new(file)));
        }
        Ok(Self {
            name: path.to_owned(),
            fingerprint: read_through(path, format).map_err(reading)?,
            input: Box::new(file),
            bytes: Some(metadata.len()),
        })
    }

    fn piped(path: &Path, input: Box<dyn Read + Send>) -> Self {
        let mut random = [0; 32];
        (andiron_engine::Surroundings::system().random)(&mut random);
        Self {
            name: path.to_owned(),
            input,
            bytes: None,
            fingerprint: Fingerprint::of(Sha256::new_with_prefix(random)),
        }
    }
}

/// A record, read.
pub(crate) type Record = Result<NewDocument, Rejection>;

/// The records of a file.
pub(crate) struct Reader {
    name: PathBuf,
    records: Records,
    destination: Destination,
    number: u64,
    buffer: Vec<u8>,
    consumed: Arc<AtomicU64>,
}

type Input = BufReader<Counted>;

enum Records {
    Elements(Elements<Input>),
    Lines(Lines<Input>),
    Rows(Box<CsvRows<Input>>),
}

impl Reader {
    /// Recognises the form of a file and begins to read it.
    ///
    /// # Errors
    /// If it cannot be read, or its form does not go with the plan.
    pub(crate) fn new(source: Source, plan: Plan) -> Result<Self, AndironError> {
        let consumed = Arc::new(AtomicU64::new(0));
        let name = source.name.clone();
        let reading = |source| AndironError::File {
            doing: "reading",
            path: name.clone(),
            source,
        };
        let counted = Counted {
            input: source.input,
            consumed: Arc::clone(&consumed),
        };
        let mut input = BufReader::with_capacity(BUFFER_BYTES, counted);
        skip_byte_order_mark(&mut input).map_err(reading)?;
        let sample = input.fill_buf().map_err(reading)?;
        let format = match plan.format {
            Some(format) => format,
            None => recognise(&source.name, sample)?,
        };
        let destination = match plan.collection {
            Some(path) => {
                // With a format given the user has said what the lines are.
                let is_export =
                    plan.format.is_none() && format == Format::Ndjson && first_line_is_document(sample);
                if is_export {
                    return Err(AndironError::Usage(format!(
                        "`{}` holds whole documents, as `andiron export` writes them, and each goes back to its own \
                         path: leave --collection away, or give --format ndjson to import the lines as they are",
                        source.name.display()
                    )));
                }
                Destination::Collection {
                    path,
                    id_field: plan.id_field,
                    fingerprint: source.fingerprint,
                }
            }
            None if format == Format::Ndjson && plan.id_field.is_none() && first_line_is_document(sample) => {
                Destination::OwnPath
            }
            None => {
                return Err(AndironError::Usage(
                    "--collection is needed: which collection do the records go to? \
                     (only lines that are whole documents, as `andiron export` writes them, know it themselves)"
                        .to_owned(),
                ));
            }
        };
        let records = match format {
            Format::Json => Records::Elements(Elements::new(input)),
            Format::Ndjson => Records::Lines(Lines::new(input)),
            Format::Csv => Records::Rows(Box::new(CsvRows::new(input, plan.csv).map_err(reading)?)),
        };
        Ok(Self {
            name: source.name,
            records,
            destination,
            number: 0,
            buffer: Vec::new(),
            consumed,
        })
    }

    /// Whether the ids of its documents are made of the file's contents.
    pub(crate) fn makes_ids(&self) -> bool {
        matches!(self.destination, Destination::Collection { id_field: None, .. })
    }

    /// Bytes of the file that have been read, told while it is read.
    pub(crate) fn consumed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.consumed)
    }

    /// The next record; `None` at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read any further: the disk, or a structure that is broken from here on.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, AndironError> {
        let raw = match &mut self.records {
            Records::Elements(elements) => elements.next(&mut self.buffer),
            Records::Lines(lines) => lines.next(&mut self.buffer),
            Records::Rows(rows) => match rows.next() {
                Ok(Some((line, data))) => {
                    self.number += 1;
                    let place = Place {
                        number: self.number,
                        line,
                    };
                    let document = data.and_then(|data| self.destination.document_of(place, &data));
                    let record = document.map_err(|reason| Rejection::new(place, reason, &rows.text()));
                    return Ok(Some(record));
                }
                Ok(None) => return Ok(None),
                Err(error) => Err(error),
            },
        };
        let raw = raw.map_err(|source| AndironError::File {
            doing: "reading",
            path: self.name.clone(),
            source,
        })?;
        Ok(raw.map(|raw| self.read(raw)))
    }

    fn read(&mut self, raw: RawRecord) -> Record {
        self.number += 1;
        let place = Place {
            number: self.number,
            line: raw.line,
        };
        let document = if raw.too_long {
            Err(format!("it is longer than {RECORD_BYTES_MAX} bytes"))
        } else {
            self.destination.document(place, &self.buffer)
        };
        // What is too long is only begun in the buffer, and too long to be repeated anyway.
        document.map_err(|reason| Rejection::new(place, reason, &self.buffer))
    }
}

/// Reads a file through for its fingerprint. An array that is broken is found here, before any of it is imported: once it
/// was mended it would be another file, and what had been imported of it would come again with other ids.
fn read_through(path: &Path, format: Option<Format>) -> std::io::Result<Fingerprint> {
    let mut input = BufReader::with_capacity(
        BUFFER_BYTES,
        Hashed {
            input: File::open(path)?,
            hasher: Sha256::new(),
        },
    );
    skip_byte_order_mark(&mut input)?;
    let recognised = recognise(path, input.fill_buf()?).ok();
    if format.or(recognised) == Some(Format::Json) {
        let mut elements = Elements::new(&mut input);
        let mut element = Vec::new();
        while elements.next(&mut element)?.is_some() {}
    }
    std::io::copy(&mut input, &mut std::io::sink())?;
    Ok(Fingerprint::of(input.into_inner().hasher))
}

/// Hashes what is read.
struct Hashed {
    input: File,
    hasher: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// Counts what is read.
struct Counted {
    input: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.consumed
            .fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        Ok(read)
    }
}

fn skip_byte_order_mark(input: &mut impl BufRead) -> std::io::Result<()> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if input.fill_buf()?.starts_with(MARK) {
        input.consume(MARK.len());
    }
    Ok(())
}

/// The form of a file by its name, or if that says nothing by its first character.
fn recognise(name: &Path, sample: &[u8]) -> Result<Format, AndironError> {
    let unclear = |what: &str| {
        AndironError::Usage(format!(
            "`{}`: {what}; give --format json, ndjson or csv",
            name.display()
        ))
    };
    let extension = name
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let first = sample.trim_ascii_start().first();
    match (extension.as_str(), first) {
        ("csv" | "tsv", _) => Ok(Format::Csv),
        ("ndjson" | "jsonl", _) => Ok(Format::Ndjson),
        (_, Some(b'[')) => Ok(Format::Json),
        (_, Some(b'{')) if first_line_is_object(sample) => Ok(Format::Ndjson),
        (_, Some(b'{')) => Err(unclear(
            "this is one JSON object over several lines, and an array of objects or one object a line is expected",
        )),
        ("json", None) => Ok(Format::Json),
        _ => Err(unclear("the form of the file is not clear")),
    }
}

/// The first line, and whether its end is in the sample too.
fn first_line(sample: &[u8]) -> (&[u8], bool) {
    let sample = sample.trim_ascii_start();
    match sample.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&sample[..end], true),
        None => (sample, false),
    }
}

/// Whether the first line holds a whole object. One that goes on beyond the sample is taken for one: objects over
/// several lines have short ones.
fn first_line_is_object(sample: &[u8]) -> bool {
    let (line, is_whole) = first_line(sample);
    !is_whole || serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Whether the first line is a document as an export has them. One that goes on beyond the sample is known by its
/// beginning.
fn first_line_is_document(sample: &[u8]) -> bool {
    let (line, is_whole) = first_line(sample);
    is_whole_document(line) || (!is_whole && line.starts_with(b"{\"path\":\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_file_is_recognised() {
        for (name, contents, expected) in [
            ("a.json", " \n[{}]", Some(Format::Json)),
            ("a.json", "{\"a\":1}\n{\"a\":2}\n", Some(Format::Ndjson)),
            ("a.json", "{\n \"a\": 1\n}\n", None),
            ("a.json", "", Some(Format::Json)),
            ("a.jsonl", "[1]", Some(Format::Ndjson)),
            ("A.CSV", "a,b\n", Some(Format::Csv)),
            ("a.txt", "[{}]", Some(Format::Json)),
            ("-", "{}", Some(Format::Ndjson)),
            ("a.txt", "a,b", None),
        ] {
            let found = recognise(Path::new(name), contents.as_bytes()).ok();
            assert_eq!(found, expected, "{name}: {contents}");
        }
    }
}
