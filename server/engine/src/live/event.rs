//! Changes of a result, encoded once for everybody who listens to it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use andiron_protocol::{DocumentPath, Query, write_data_json, write_document_json, write_json_string};
use andiron_store::StoredDocument;
use bytes::Bytes;

use crate::EngineError;
use crate::commit::stored_data;

/// Bytes after which changes go into another frame.
pub(super) const FRAME_BYTES: usize = 256 * 1024;

/// Changes as the protocol has them, a JSON array. It is one for all who are told the same, and so is what whoever sends them
/// makes of it.
#[derive(Clone, Debug)]
pub struct SharedChanges(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    json: Bytes,
    packed: OnceLock<Bytes>,
}

impl SharedChanges {
    fn new(json: impl Into<Bytes>) -> Self {
        Self(Arc::new(Encoded {
            json: json.into(),
            packed: OnceLock::new(),
        }))
    }

    /// The array in another encoding, of which there is one: whoever first asks for it makes it.
    pub fn packed(&self, pack: impl FnOnce(&[u8]) -> Bytes) -> &Bytes {
        self.0.packed.get_or_init(|| pack(&self.0.json))
    }
}

impl Deref for SharedChanges {
    type Target = Bytes;

    /// The array.
    fn deref(&self) -> &Bytes {
        &self.0.json
    }
}

/// The changes of one step, in frames.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) frames: Vec<SharedChanges>,
}

impl Event {
    /// No change.
    pub(super) fn empty() -> Self {
        Self {
            frames: vec![SharedChanges::new(&b"[]"[..])],
        }
    }
}

/// Writes an event.
pub(super) struct EventWriter<'q> {
    query: Option<&'q Query>,
    frames: Vec<SharedChanges>,
    frame: Vec<u8>,
}

impl<'q> EventWriter<'q> {
    /// Of documents with the fields that the query selects; without one, whole documents.
    pub(super) fn new(query: Option<&'q Query>) -> Self {
        Self {
            query: query.filter(|query| query.select.is_some()),
            frames: Vec::new(),
            frame: Vec::new(),
        }
    }

    pub(super) fn set(&mut self, document: &StoredDocument) -> Result<(), EngineError> {
        let projected = match self.query {
            None => None,
            Some(query) => {
                let mut json = Vec::new();
                write_data_json(&query.project(stored_data(document)?), &mut json);
                Some(String::from_utf8(json).expect("value JSON is UTF-8"))
            }
        };
        self.begin();
        self.frame.extend_from_slice(b"{\"type\":\"set\",\"document\":");
        write_document_json(
            (document.path.collection_str(), document.path.id()),
            (document.created, document.version),
            projected.as_deref().unwrap_or(&document.data),
            &mut self.frame,
        );
        self.frame.push(b'}');
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &DocumentPath) {
        self.begin();
        self.frame.extend_from_slice(b"{\"type\":\"remove\",\"path\":");
        write_json_string(path.as_str(), &mut self.frame);
        self.frame.push(b'}');
    }

    fn begin(&mut self) {
        if self.frame.len() > FRAME_BYTES {
            self.end_frame();
        }
        self.frame.push(if self.frame.is_empty() { b'[' } else { b',' });
    }

    fn end_frame(&mut self) {
        if !self.frame.is_empty() {
            self.frame.push(b']');
            let json = std::mem::take(&mut self.frame);
            self.frames.push(SharedChanges::new(json));
        }
    }

    /// The event; `None` if nothing was written.
    pub(super) fn finish(mut self) -> Option<Event> {
        self.end_frame();
        (!self.frames.is_empty()).then_some(Event { frames: self.frames })
    }
}
