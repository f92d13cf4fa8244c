//! The first documents of a result that is found in another order.

use std::cmp::Ordering;

use andiron_protocol::Map;
use andiron_store::{DocumentRow, Snapshot};

use super::place::{KeptDocument, Place};
use super::request::Request;
use crate::EngineError;

/// Documents kept beyond the wanted ones before the rest is let go.
const SLACK: usize = 64;

/// Keeps the first `wanted` documents of all that are offered, each once, in bounded memory. While the bytes suffice it
/// keeps whole documents; beyond that only their places, and the documents are read again at the end.
pub(crate) struct TopDocuments<'r, 'q> {
    request: &'r Request<'q>,
    wanted: usize,
    kept: Vec<(Place, Option<KeptDocument>)>,
    bytes: usize,
    bytes_max: usize,
    keeps_documents: bool,
    /// The last of the wanted documents when it was last looked; what comes after it is not wanted.
    last: Option<Place>,
}

impl<'r, 'q> TopDocuments<'r, 'q> {
    pub(crate) fn new(request: &'r Request<'q>, wanted: u64, bytes_max: usize) -> Self {
        Self {
            request,
            wanted: usize::try_from(wanted).unwrap_or(usize::MAX),
            kept: Vec::new(),
            bytes: 0,
            bytes_max,
            keeps_documents: true,
            last: None,
        }
    }

    /// Offers a document of the result.
    pub(crate) fn offer(&mut self, row: &DocumentRow<'_>, data: &Map) -> Result<(), EngineError> {
        if let Some(last) = &self.last
            && self.request.compare_values(row, data, last) == Ordering::Greater
        {
            return Ok(());
        }
        let place = Place::of(self.request, row, data)?;
        let document = self.keeps_documents.then(|| KeptDocument::new(row));
        self.bytes += place.bytes() + document.as_ref().map_or(0, KeptDocument::bytes);
        self.kept.push((place, document));
        if self.kept.len() >= self.wanted.saturating_mul(2).saturating_add(SLACK) {
            self.prune();
        }
        if self.bytes > self.bytes_max {
            self.save_memory()?;
        }
        Ok(())
    }

    /// Orders what is kept and lets go of what is not wanted.
    fn prune(&mut self) {
        let request = self.request;
        self.kept
            .sort_by(|left, right| request.compare(&left.0, &right.0));
        self.kept.dedup_by(|left, right| left.0.path == right.0.path);
        self.kept.truncate(self.wanted);
        self.bytes = self
            .kept
            .iter()
            .map(|(place, document)| place.bytes() + document.as_ref().map_or(0, KeptDocument::bytes))
            .sum();
        if self.kept.len() == self.wanted {
            self.last = self.kept.last().map(|(place, _)| place.clone());
        }
    }

    /// Brings the bytes down to half of what they may be, so that this is not called again for a while.
    fn save_memory(&mut self) -> Result<(), EngineError> {
        self.prune();
        let bytes_target = self.bytes_max / 2;
        if self.bytes > bytes_target && self.keeps_documents {
            self.keeps_documents = false;
            for (_, document) in &mut self.kept {
                *document = None;
            }
            self.prune();
        }
        if self.bytes > bytes_target {
            return Err(EngineError::SortTooLarge {
                bytes_max: self.bytes_max,
                advice: String::new(),
            });
        }
        Ok(())
    }

    /// Hands the documents out in order until `take` has enough.
    pub(crate) fn deliver(
        mut self,
        snapshot: &dyn Snapshot,
        take: &mut dyn FnMut(DocumentRow<'_>) -> std::ops::ControlFlow<()>,
    ) -> Result<(), EngineError> {
        self.prune();
        for (place, document) in self.kept {
            let mut flow = std::ops::ControlFlow::Continue(());
            match document {
                Some(document) => flow = take(document.row()),
                None => snapshot.get(&place.path, &mut |row| {
                    flow = take(row);
                    std::ops::ControlFlow::Break(())
                })?,
            }
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }
}
