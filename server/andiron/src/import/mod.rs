//! Import: from a file of records to documents.
//!
//! The file is read as a stream on a thread of its own, never whole, and its records go to the server in commits that
//! create documents. Nothing that exists is overwritten unless that is asked for.
//!
//! An import that was broken off is continued by running it again: a record always gets the same id (from a field, or
//! from the contents of the file and the record's place in it), and a document that is there already with the same data
//! counts as done.

mod csv_rows;
mod elements;
mod ids;
mod lines;
mod reader;
mod record;
mod uploader;

pub(crate) use reader::{CsvOptions, Format, Plan, Reader, Record, Source};
pub(crate) use record::Rejection;
pub(crate) use uploader::{OnExisting, Tally, Uploader};

/// Bytes of one record; a longer one is rejected. A document has at most 1 MiB, but a record may have more whitespace.
pub(crate) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of documents in one commit, well below what a server takes by default.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
