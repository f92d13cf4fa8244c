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
/// Bytes at the beginning of a file by which its form is recognised.
const SAMPLE_BYTES: usize = 64 * 1024;

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
    pub(crate) fn open(path: &Path) -> Result<Self, AndironError> {
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
        let mut hasher = Sha256::new();
        let mut whole = File::open(path).map_err(reading)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match whole.read(&mut buffer).map_err(reading)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(Self {
            name: path.to_owned(),
            input: Box::new(file),
            bytes: Some(metadata.len()),
            fingerprint: Fingerprint::of(hasher),
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
        let sample = &sample[..sample.len().min(SAMPLE_BYTES)];
        let format = match plan.format {
            Some(format) => format,
            None => recognise(&source.name, sample)?,
        };
        let destination = match plan.collection {
            Some(path) => {
                if path.is_system() {
                    return Err(AndironError::Usage(format!(
                        "--collection `{path}`: collections whose names begin with `_` are the system's own"
                    )));
                }
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
            None if format == Format::Ndjson && plan.id_field.is_none() => Destination::OwnPath,
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
                    return Ok(Some(document.map_err(|reason| Rejection { place, reason })));
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
        document.map_err(|reason| Rejection { place, reason })
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

fn skip_byte_order_mark(input: &mut Input) -> std::io::Result<()> {
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

fn first_line(sample: &[u8]) -> &[u8] {
    let sample = sample.trim_ascii_start();
    let end = sample.iter().position(|byte| *byte == b'\n');
    &sample[..end.unwrap_or(sample.len())]
}

/// Whether the first line holds a whole object. A line longer than the sample is taken for one: objects over several
/// lines have short ones.
fn first_line_is_object(sample: &[u8]) -> bool {
    let line = first_line(sample);
    line.len() >= SAMPLE_BYTES - 1 || serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

fn first_line_is_document(sample: &[u8]) -> bool {
    is_whole_document(first_line(sample))
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
