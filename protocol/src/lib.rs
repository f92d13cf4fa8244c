//! What an Andiron server and its clients agree on.
//!
//! Values and their total order, value JSON, paths, documents, queries and filters, writes and what they do to a
//! document, aggregates, errors. Everything here is pure: no I/O, no async runtime, no clock and no randomness, so that
//! the server, the SDKs and the tests share one definition of each idea. The JSON vectors in `protocol/spec/` describe
//! the same semantics for clients in other languages.
//!
//! Deliberately absent: how anything is stored, planned or authorized.

#[cfg(feature = "arbitrary")]
pub mod arbitrary;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;

mod aggregate;
mod apply;
mod document;
mod error;
mod field_path;
mod filter;
mod filter_expression;
mod filter_matching;
mod json_input;
mod number;
mod path;
mod query;
mod timestamp;
mod value;
mod value_json;
mod version;
mod write;
mod write_json;
mod write_serialize;

pub use aggregate::{Aggregate, AggregateBody};
pub use apply::{Applied, ApplyError, apply_write};
pub use document::{BatchGetBody, Document, write_document_json};
pub use error::{ErrorCode, InputError, Problem};
pub use field_path::FieldPath;
pub use filter::{FieldRef, Filter, Operator};
pub use json_input::from_json;
pub use number::{compare_doubles, compare_integer_with_double};
pub use path::{CollectionPath, DocumentPath, check_id};
pub use query::{Bound, Direction, OrderBy, Query, Source};
pub use timestamp::Timestamp;
pub use value::{GeoPoint, Map, TypeClass, Value};
pub use value_json::{data_from_json, write_data_json, write_json_string, write_value_json};
pub use version::Version;
pub use write::{CommitBody, Precondition, QueryRead, Read, Transform, Write, WriteData, WriteKind};
