//! What a query has read, and how much it may.

use std::time::{Duration, Instant};

use crate::{EngineError, QueryLimits};

/// Reads between two looks at the clock.
const READS_BETWEEN_LOOKS: u64 = 64;

/// Counts reads against the limits of a query.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Index entries.
    pub(crate) entries: u64,
    /// Documents.
    pub(crate) documents: u64,
    limits: Option<Limits>,
    /// Documents after which a trial is over.
    trial_documents_max: Option<u64>,
    sort_bytes_max: usize,
    begun: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    reads_max: u64,
    time_max: Duration,
}

impl Reads {
    /// Counts from now on. A stream has only the limit of what it may hold in memory.
    pub(crate) fn new(limits: &QueryLimits, is_stream: bool, begun: Instant) -> Self {
        Self {
            entries: 0,
            documents: 0,
            limits: (!is_stream).then_some(Limits {
                reads_max: limits.reads_max,
                time_max: limits.time_max,
            }),
            trial_documents_max: None,
            sort_bytes_max: limits.sort_bytes_max,
            begun,
        }
    }

    /// Makes it a trial, which fails when it has read so many documents; see [`Reads::is_trial_over`].
    pub(crate) fn limit_trial(&mut self, documents_max: u64) {
        self.trial_documents_max = Some(documents_max);
    }

    /// Whether this was a trial, and failed because it read too many documents.
    pub(crate) fn is_trial_over(&self) -> bool {
        self.trial_documents_max.is_some_and(|max| self.most() > max)
    }

    /// Bytes of documents that may be held at one time.
    pub(crate) fn sort_bytes_max(&self) -> usize {
        self.sort_bytes_max
    }

    /// Entries or documents, whichever are more: mostly a document comes with an entry.
    pub(crate) fn most(&self) -> u64 {
        self.entries.max(self.documents)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Counts an entry of an index and the document that came with it.
    pub(crate) fn entry_and_document(&mut self) -> Result<(), EngineError> {
        self.entries += 1;
        self.document()
    }

    /// Counts an entry of an index.
    pub(crate) fn entry(&mut self) -> Result<(), EngineError> {
        self.entries += 1;
        self.check()
    }

    /// Counts many entries of an index.
    pub(crate) fn entries(&mut self, entries: u64) -> Result<(), EngineError> {
        self.entries += entries;
        self.check()
    }

    /// Counts a document.
    pub(crate) fn document(&mut self) -> Result<(), EngineError> {
        self.documents += 1;
        self.check()
    }

    fn check(&self) -> Result<(), EngineError> {
        let Some(limits) = self.limits else {
            return Ok(());
        };
        let read = self.entries + self.documents;
        if read > limits.reads_max || self.is_trial_over() {
            return Err(EngineError::QueryTooCostly {
                read,
                advice: String::new(),
            });
        }
        // Both counters may have moved, so the remainder may be passed over once, not for ever.
        if self
            .documents
            .max(self.entries)
            .is_multiple_of(READS_BETWEEN_LOOKS)
            && self.elapsed() > limits.time_max
        {
            return Err(EngineError::DeadlineExceeded {
                milliseconds: u64::try_from(limits.time_max.as_millis()).unwrap_or(u64::MAX),
                advice: String::new(),
            });
        }
        Ok(())
    }
}
