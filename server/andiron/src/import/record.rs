//! One record: from the text in the file to a document, or to the reason why not.

use std::fmt;

use andiron_protocol::limits::DOCUMENT_BYTES_MAX;
use andiron_protocol::{
    CollectionPath, Document, DocumentPath, InputError, Map, Value, data_from_json, write_data_json,
};

use crate::import::ids::Fingerprint;

/// Where a record stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its 1-based number among the records.
    pub(crate) number: u64,
    /// The 1-based line it begins on.
    pub(crate) line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "record {} (line {})", self.number, self.line)
    }
}

/// A record that becomes a document.
#[derive(Clone, Debug)]
pub(crate) struct NewDocument {
    pub(crate) place: Place,
    pub(crate) path: DocumentPath,
    /// Value JSON.
    pub(crate) data: Vec<u8>,
}

impl NewDocument {
    /// The rejection of a record that could be read.
    pub(crate) fn rejected(&self, reason: String) -> Rejection {
        Rejection::new(self.place, reason, &self.data)
    }
}

/// A record that does not, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) place: Place,
    pub(crate) reason: String,
    /// The record itself, unless it is too long to be repeated.
    pub(crate) text: Option<String>,
}

/// Bytes of a rejected record that are repeated.
const REPEATED_BYTES_MAX: usize = 64 * 1024;

impl Rejection {
    /// A rejection that repeats the record.
    pub(crate) fn new(place: Place, reason: String, text: &[u8]) -> Self {
        let is_repeated = text.len() <= REPEATED_BYTES_MAX;
        Self {
            place,
            reason,
            text: is_repeated.then(|| String::from_utf8_lossy(text).into_owned()),
        }
    }
}

/// Where a record's document goes.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// The record is a whole document and names its own path.
    OwnPath,
    /// The record is data, for a document of this collection.
    Collection {
        path: CollectionPath,
        /// The field that holds the id; without it ids are made.
        id_field: Option<String>,
        fingerprint: Fingerprint,
    },
}

impl Destination {
    /// The document of a record that stands in the file as JSON.
    pub(crate) fn document(&self, place: Place, json: &[u8]) -> Result<NewDocument, String> {
        match self {
            Self::OwnPath => {
                let document: Document =
                    serde_json::from_slice(json).map_err(|error| not_a_document(error.into()))?;
                finish(place, document.path, &document.data)
            }
            Self::Collection { .. } => {
                let data = data_from_json(json).map_err(positioned)?;
                self.document_of(place, &data)
            }
        }
    }

    /// The document of a record whose data is known.
    pub(crate) fn document_of(&self, place: Place, data: &Map) -> Result<NewDocument, String> {
        let Self::Collection {
            path,
            id_field,
            fingerprint,
        } = self
        else {
            return Err("only lines of JSON can be whole documents".to_owned());
        };
        let id = match id_field {
            None => fingerprint.id(place.number),
            Some(field) => match data.get(field) {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Integer(id)) => id.to_string(),
                Some(_) => {
                    return Err(format!(
                        "its field `{field}` is no id: an id is a text or a whole number"
                    ));
                }
                None => return Err(format!("it has no field `{field}` to take the id from")),
            },
        };
        let path = path.document(&id).map_err(|error| error.detail)?;
        finish(place, path, data)
    }
}

fn finish(place: Place, path: DocumentPath, data: &Map) -> Result<NewDocument, String> {
    if path.is_system() {
        return Err(format!(
            "`{path}`: collections whose names begin with `_` are the system's own"
        ));
    }
    let mut json = Vec::new();
    write_data_json(data, &mut json);
    if json.len() > DOCUMENT_BYTES_MAX {
        return Err(format!(
            "it has {} bytes, and a document has at most {DOCUMENT_BYTES_MAX}",
            json.len()
        ));
    }
    Ok(NewDocument {
        place,
        path,
        data: json,
    })
}

/// Whether a line is a whole document, as an export has them.
pub(crate) fn is_whole_document(json: &[u8]) -> bool {
    serde_json::from_slice::<Document>(json).is_ok()
}

fn not_a_document(error: InputError) -> String {
    format!(
        "this is not a document as an export has them, and without --collection it must be one: {}",
        positioned(error)
    )
}

/// An error's text with its place within the record.
fn positioned(error: InputError) -> String {
    match error.position {
        Some((1, column)) => format!("{} (at column {column})", error.detail),
        Some((line, column)) => format!("{} (at its line {line}, column {column})", error.detail),
        None => error.detail,
    }
}
