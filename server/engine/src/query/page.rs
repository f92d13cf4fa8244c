//! Receivers: where the documents of a result go, one after the other in the result's order.

use std::ops::ControlFlow;

use andiron_protocol::{Map, Query, write_data_json};
use andiron_store::DocumentRow;

use super::place::{KeptDocument, data_of};
use crate::{DocumentSink, EngineError};

/// Takes the documents that belong to a result, in the order in which a request wants them.
pub(crate) trait Receiver {
    /// Whether the data is needed.
    fn wants_data(&self) -> bool;

    /// How many documents may be passed over without being shown.
    fn skippable(&self) -> u64 {
        0
    }

    /// Passes over documents.
    fn skip(&mut self, _documents: u64) {}

    /// Whether no document is wanted any more, and it is only a question whether there are any.
    fn is_full(&self) -> bool {
        false
    }

    /// Ends that question: there may be more.
    fn presume_more(&mut self) {}

    /// Takes a document, with its data if that was wanted or happens to be there.
    fn receive(&mut self, row: &DocumentRow<'_>, data: Option<Map>) -> Result<ControlFlow<()>, EngineError>;
}

/// Which part of a result a page is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageBounds {
    /// Documents passed over at the beginning.
    pub(crate) skip: u64,
    /// Documents taken.
    pub(crate) take: u64,
    /// Whether it has to be found out if there are more.
    pub(crate) looks_ahead: bool,
}

impl PageBounds {
    /// How many documents have to be found.
    pub(crate) fn wanted(self) -> u64 {
        self.skip
            .saturating_add(self.take)
            .saturating_add(u64::from(self.looks_ahead))
    }
}

/// Hands documents to a sink, with the selected fields.
pub(crate) struct Outlet<'s, 'q> {
    sink: &'s mut dyn DocumentSink,
    query: &'q Query,
    projected: Vec<u8>,
    pub(crate) returned: u64,
}

impl<'s, 'q> Outlet<'s, 'q> {
    pub(crate) fn new(sink: &'s mut dyn DocumentSink, query: &'q Query) -> Self {
        Self {
            sink,
            query,
            projected: Vec::new(),
            returned: 0,
        }
    }

    fn put(&mut self, row: &DocumentRow<'_>, data: Option<Map>) -> Result<ControlFlow<()>, EngineError> {
        self.returned += 1;
        if self.query.select.is_none() {
            return Ok(self.sink.document(*row));
        }
        let data = match data {
            Some(data) => data,
            None => data_of(row)?,
        };
        self.projected.clear();
        write_data_json(&self.query.project(data), &mut self.projected);
        let data = std::str::from_utf8(&self.projected).expect("value JSON is UTF-8");
        Ok(self.sink.document(DocumentRow { data, ..*row }))
    }
}

/// A page from its beginning on.
pub(crate) struct Page<'s, 'q> {
    pub(crate) outlet: Outlet<'s, 'q>,
    bounds: PageBounds,
    /// The last document, kept for a cursor once the page is full.
    pub(crate) last: Option<KeptDocument>,
    /// Whether there may be more documents after the last.
    pub(crate) has_more: bool,
}

impl<'s, 'q> Page<'s, 'q> {
    pub(crate) fn new(outlet: Outlet<'s, 'q>, bounds: PageBounds) -> Self {
        Self {
            outlet,
            bounds,
            last: None,
            has_more: false,
        }
    }
}

impl Receiver for Page<'_, '_> {
    fn wants_data(&self) -> bool {
        self.outlet.query.select.is_some()
    }

    fn skippable(&self) -> u64 {
        self.bounds.skip
    }

    fn skip(&mut self, documents: u64) {
        self.bounds.skip -= documents;
    }

    fn is_full(&self) -> bool {
        self.outlet.returned == self.bounds.take
    }

    fn presume_more(&mut self) {
        self.has_more = true;
    }

    fn receive(&mut self, row: &DocumentRow<'_>, data: Option<Map>) -> Result<ControlFlow<()>, EngineError> {
        if self.bounds.skip > 0 {
            self.bounds.skip -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        if self.is_full() {
            self.has_more = true;
            return Ok(ControlFlow::Break(()));
        }
        let flow = self.outlet.put(row, data)?;
        if flow.is_break() {
            // The sink wants no more, but there may be.
            self.last = Some(KeptDocument::new(row));
            self.has_more = true;
            return Ok(flow);
        }
        if self.is_full() {
            if !self.bounds.looks_ahead {
                return Ok(ControlFlow::Break(()));
            }
            self.last = Some(KeptDocument::new(row));
        }
        Ok(flow)
    }
}

/// Bytes of documents that a trial may keep.
const TRIAL_BYTES_MAX: usize = 1024 * 1024;

/// Keeps the documents of a trial until it is known that it went well.
#[derive(Default)]
pub(crate) struct TrialSink {
    pub(crate) documents: Vec<KeptDocument>,
    bytes: usize,
}

impl TrialSink {
    /// Whether there was more than it may keep.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes > TRIAL_BYTES_MAX
    }
}

impl DocumentSink for TrialSink {
    fn document(&mut self, document: DocumentRow<'_>) -> ControlFlow<()> {
        let document = KeptDocument::new(&document);
        self.bytes += document.bytes();
        self.documents.push(document);
        if self.is_over() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// The last documents of a result, found from its end, handed out from the first to the last.
pub(crate) struct LastPage<'s, 'q> {
    outlet: Outlet<'s, 'q>,
    bounds: PageBounds,
    kept: Vec<KeptDocument>,
    bytes: usize,
    bytes_max: usize,
    /// Documents before the kept ones: the result has at least so many more.
    before: u64,
}

impl<'s, 'q> LastPage<'s, 'q> {
    pub(crate) fn new(outlet: Outlet<'s, 'q>, bounds: PageBounds, bytes_max: usize) -> Self {
        Self {
            outlet,
            bounds,
            kept: Vec::new(),
            bytes: 0,
            bytes_max,
            before: 0,
        }
    }

    /// Hands out what was kept, and says how many documents that were.
    ///
    /// Documents passed over stand at the result's beginning; so it matters only if the kept ones reach that far.
    pub(crate) fn finish(mut self) -> Result<u64, EngineError> {
        let found = self.kept.len() as u64 + self.before;
        let passed_over = self.bounds.skip.saturating_sub(self.before);
        debug_assert!(found <= self.bounds.wanted(), "the scan stopped in time");
        let kept = usize::try_from(passed_over).unwrap_or(usize::MAX);
        let count = self.kept.len().saturating_sub(kept);
        self.kept.truncate(count);
        while let Some(document) = self.kept.pop() {
            if self.outlet.put(&document.row(), None)?.is_break() {
                break;
            }
        }
        Ok(self.outlet.returned)
    }
}

impl Receiver for LastPage<'_, '_> {
    fn wants_data(&self) -> bool {
        false
    }

    fn receive(&mut self, row: &DocumentRow<'_>, _data: Option<Map>) -> Result<ControlFlow<()>, EngineError> {
        if (self.kept.len() as u64) < self.bounds.take {
            let document = KeptDocument::new(row);
            self.bytes += document.bytes();
            if self.bytes > self.bytes_max {
                return Err(EngineError::SortTooLarge {
                    bytes_max: self.bytes_max,
                    advice: String::new(),
                });
            }
            self.kept.push(document);
        } else {
            self.before += 1;
        }
        if self.kept.len() as u64 + self.before == self.bounds.wanted() {
            Ok(ControlFlow::Break(()))
        } else {
            Ok(ControlFlow::Continue(()))
        }
    }
}
