//! Routes: where a query's documents are looked for, and how what is found becomes the result.

use std::ops::Bound;

use andiron_protocol::{CollectionPath, Timestamp};
use andiron_store::{IdRange, KeyRange, ScanDirection, Snapshot, StoreError};

use crate::indexes::ReadableIndex;

/// A way to a query's documents.
#[derive(Debug)]
pub(crate) struct Route<'i> {
    pub(crate) legs: Vec<Leg<'i>>,
    pub(crate) delivery: Delivery,
    /// Whether a document may be found more than once.
    pub(crate) may_repeat: bool,
    /// Entries and documents that it is expected to read.
    pub(crate) reads_expected: u64,
}

/// How what the legs find becomes the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// There is at most one leg, and it finds the documents in the result's order.
    Ordered,
    /// Every leg finds its documents in the result's order.
    Merged,
    /// The legs find documents in any order.
    Unordered,
}

/// One scan after another over the same thing. The spans are disjoint and stand in ascending order.
#[derive(Debug)]
pub(crate) struct Leg<'i> {
    pub(crate) scan: Scan<'i>,
    pub(crate) direction: ScanDirection,
    /// What the spans were made from, for people; only when that was asked for.
    pub(crate) conditions: Vec<String>,
}

/// What a leg goes over.
#[derive(Debug)]
pub(crate) enum Scan<'i> {
    /// The query's collection, by id.
    Collection { spans: Vec<IdSpan>, is_proven: bool },
    /// Every document of the query's group.
    Group { is_proven: bool },
    /// An index.
    Index {
        index: &'i ReadableIndex,
        spans: Vec<KeySpan>,
        /// Where in its keys the result's whole order stands, if it does.
        tail: Option<Tail>,
    },
}

/// A range of ids, from the first inside to the first outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IdSpan {
    pub(crate) lower: String,
    pub(crate) upper: Option<String>,
}

/// A range of keys, from the first inside to the first outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeySpan {
    pub(crate) lower: Vec<u8>,
    pub(crate) upper: Option<Vec<u8>>,
    /// Whether every document found here belongs to the result, so that there is no need to look into it.
    pub(crate) is_proven: bool,
}

/// The part of a key that tells a document's place in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Bytes before it.
    pub(crate) skip: usize,
    /// Whether every bit of it is inverted: the index has the order the other way round.
    pub(crate) is_inverted: bool,
}

impl IdSpan {
    pub(crate) fn range(&self) -> IdRange<'_> {
        let upper = self.upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        if self.lower.is_empty() {
            (Bound::Unbounded, upper)
        } else {
            (Bound::Included(&self.lower), upper)
        }
    }
}

impl KeySpan {
    pub(crate) fn range(&self) -> KeyRange<'_> {
        let upper = self.upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        if self.lower.is_empty() {
            (Bound::Unbounded, upper)
        } else {
            (Bound::Included(&self.lower), upper)
        }
    }
}

impl Leg<'_> {
    /// Whether every document that it finds belongs to the result.
    pub(crate) fn is_proven(&self) -> bool {
        match &self.scan {
            Scan::Collection { is_proven, .. } | Scan::Group { is_proven } => *is_proven,
            Scan::Index { spans, .. } => spans.iter().all(|span| span.is_proven),
        }
    }

    /// How many entries or documents it goes over, counted up to `max`; `max` where that cannot be told.
    pub(crate) fn size(
        &self,
        collection: Option<&CollectionPath>,
        snapshot: &dyn Snapshot,
        max: u64,
    ) -> Result<u64, StoreError> {
        let mut size = 0;
        match (&self.scan, collection) {
            (Scan::Collection { spans, .. }, Some(collection)) => {
                for span in spans {
                    if size < max {
                        size += snapshot.count_collection(collection, span.range(), max - size)?;
                    }
                }
            }
            (Scan::Index { index, spans, .. }, _) => {
                for span in spans {
                    if size < max {
                        size += snapshot.count_index(index.id, span.range(), max - size)?;
                    }
                }
            }
            (Scan::Group { .. } | Scan::Collection { .. }, _) => size = max,
        }
        Ok(size)
    }
}

impl Route<'_> {
    /// The route of a query that nothing can match.
    pub(crate) fn nowhere() -> Self {
        Self {
            legs: Vec::new(),
            delivery: Delivery::Ordered,
            may_repeat: false,
            reads_expected: 0,
        }
    }

    /// Notes that the route's indexes are of use.
    pub(crate) fn mark_indexes_used(&self, now: Timestamp) {
        for leg in &self.legs {
            if let Scan::Index { index, .. } = &leg.scan {
                index.mark_used(now);
            }
        }
    }

    /// Whether the documents of the result are as many as the entries or ids in its ranges.
    pub(crate) fn is_countable(&self) -> bool {
        let is_counted = |leg: &Leg<'_>| !matches!(leg.scan, Scan::Group { .. });
        self.is_proven() && !self.may_repeat && self.legs.iter().all(is_counted)
    }

    /// Whether documents go from the store to the result as they are, one by one.
    pub(crate) fn is_passed_through(&self) -> bool {
        self.is_proven() && self.delivery != Delivery::Unordered
    }

    /// Whether no document has to be looked into to know that it belongs to the result.
    pub(crate) fn is_proven(&self) -> bool {
        self.legs.iter().all(Leg::is_proven)
    }
}
