//! Reading the fields of our own documents: what is not as it was written is damage, and says where.

use andiron_protocol::{Map, Timestamp, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{ContentType, FileSettings, FilesError};

/// The fields of one document.
pub(crate) struct Fields<'m> {
    map: &'m Map,
    /// What the document is of, for errors.
    of: String,
}

impl<'m> Fields<'m> {
    pub(crate) fn new(map: &'m Map, of: impl ToString) -> Self {
        Self {
            map,
            of: of.to_string(),
        }
    }

    /// The error that a field is not what it should be.
    pub(crate) fn damaged(&self, field: &str) -> FilesError {
        FilesError::Internal(format!("the document of `{}` has no good `{field}`", self.of))
    }

    pub(crate) fn text(&self, field: &str) -> Option<String> {
        match self.map.get(field) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub(crate) fn needed_text(&self, field: &str) -> Result<String, FilesError> {
        self.text(field).ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn integer(&self, field: &str) -> Result<i64, FilesError> {
        match self.map.get(field) {
            Some(Value::Integer(integer)) => Ok(*integer),
            _ => Err(self.damaged(field)),
        }
    }

    /// A number that is never negative; `None` if there is none.
    pub(crate) fn count(&self, field: &str) -> Option<u64> {
        match self.map.get(field) {
            Some(Value::Integer(integer)) => u64::try_from(*integer).ok(),
            _ => None,
        }
    }

    pub(crate) fn needed_count(&self, field: &str) -> Result<u64, FilesError> {
        self.count(field).ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn time(&self, field: &str) -> Result<Timestamp, FilesError> {
        match self.map.get(field) {
            Some(Value::Timestamp(time)) => Ok(*time),
            _ => Err(self.damaged(field)),
        }
    }

    pub(crate) fn flag(&self, field: &str) -> bool {
        matches!(self.map.get(field), Some(Value::Boolean(true)))
    }

    /// Bytes of a known number, in base64; `None` if there are none.
    pub(crate) fn bytes<const N: usize>(&self, field: &str) -> Result<Option<[u8; N]>, FilesError> {
        let Some(text) = self.text(field) else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Some).ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn needed_bytes<const N: usize>(&self, field: &str) -> Result<[u8; N], FilesError> {
        self.bytes(field)?.ok_or_else(|| self.damaged(field))
    }

    pub(crate) fn content_type(&self, field: &str) -> Option<ContentType> {
        self.text(field).and_then(|text| ContentType::parse(&text).ok())
    }

    /// What [`settings_map`](crate::record::settings_map) wrote.
    pub(crate) fn settings(&self) -> FileSettings {
        let metadata = match self.map.get("metadata") {
            Some(Value::Map(map)) => map
                .iter()
                .filter_map(|(name, value)| match value {
                    Value::String(value) => Some((name.clone(), value.clone())),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        FileSettings {
            cache_control: self.text("cacheControl"),
            content_disposition: self.text("contentDisposition"),
            content_encoding: self.text("contentEncoding"),
            content_language: self.text("contentLanguage"),
            metadata,
        }
    }
}
