//! Merges scans that are each in a result's order.
//!
//! Scans call for each row and cannot be put on hold, so each is read in pieces: a few rows at first, more each time. A
//! document that several scans find comes out once, because all its finds have one place in the order and so come one
//! after the other.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use andiron_store::DocumentRow;
use andiron_store::key::cut_at;

use super::executor::{Execution, in_direction, rest_after};
use super::place::{KeptDocument, Place, data_of};
use super::request::Request;
use super::route::{KeySpan, Leg, Scan, Tail};
use crate::EngineError;

/// Rows read at first from each scan, at least and at most; later pieces are larger.
const FIRST_PIECE_ROWS: std::ops::RangeInclusive<u64> = 4..=128;
/// Rows of the largest piece.
const PIECE_ROWS_MAX: usize = 256;
/// Bytes after which a piece ends.
const PIECE_BYTES: usize = 128 * 1024;

/// Scans being merged.
pub(crate) struct Merge<'l, 'i> {
    streams: Vec<Stream<'l, 'i>>,
    /// The streams that have a document waiting, the one whose document comes first last.
    ready: Vec<usize>,
    is_begun: bool,
    current: Option<Found>,
}

struct Stream<'l, 'i> {
    leg: &'l Leg<'i>,
    tail: Option<Tail>,
    /// Spans still to be read, the next one last.
    spans: Vec<KeySpan>,
    waiting: VecDeque<Found>,
    piece_rows: usize,
}

/// A document as a scan found it.
struct Found {
    key: Vec<u8>,
    is_cut: bool,
    tail: Option<Tail>,
    document: KeptDocument,
    place: OnceCell<Place>,
}

impl<'l, 'i> Merge<'l, 'i> {
    /// A merge from which about `wanted` documents will be taken.
    pub(crate) fn new(legs: &'l [Leg<'i>], wanted: u64) -> Self {
        let share = (wanted / legs.len().max(1) as u64)
            .saturating_add(1)
            .clamp(*FIRST_PIECE_ROWS.start(), *FIRST_PIECE_ROWS.end());
        let streams = legs.iter().filter_map(|leg| match &leg.scan {
            Scan::Index { spans, tail, .. } => {
                let mut spans: Vec<_> = in_direction(spans, leg.direction).cloned().collect();
                spans.reverse();
                Some(Stream {
                    leg,
                    tail: *tail,
                    spans,
                    waiting: VecDeque::new(),
                    piece_rows: usize::try_from(share).unwrap_or(PIECE_ROWS_MAX),
                })
            }
            // The planner merges indexes only.
            Scan::Collection { .. } | Scan::Group { .. } => None,
        });
        Self {
            streams: streams.collect(),
            ready: Vec::new(),
            is_begun: false,
            current: None,
        }
    }

    /// Goes on to the next document; `false` if there is none.
    pub(crate) fn advance(&mut self, execution: &mut Execution<'_, '_>) -> Result<bool, EngineError> {
        if !self.is_begun {
            self.is_begun = true;
            for stream in 0..self.streams.len() {
                self.make_ready(stream, execution)?;
            }
        }
        while !execution.is_over {
            let Some(stream) = self.ready.pop() else { break };
            let Some(found) = self.streams[stream].waiting.pop_front() else {
                continue;
            };
            self.make_ready(stream, execution)?;
            let is_repeated = match &self.current {
                Some(current) => compare(execution.request, current, &found)?.is_eq(),
                None => false,
            };
            if !is_repeated {
                self.current = Some(found);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The document that [`Merge::advance`] came to. It belongs to the result.
    pub(crate) fn current(&self) -> Option<DocumentRow<'_>> {
        self.current.as_ref().map(|found| found.document.row())
    }

    /// Sees to it that a stream has a document waiting, and puts it in its place among the others.
    fn make_ready(&mut self, index: usize, execution: &mut Execution<'_, '_>) -> Result<(), EngineError> {
        let stream = &mut self.streams[index];
        if stream.waiting.is_empty() {
            stream.read_piece(execution)?;
        }
        let Some(first) = self.streams[index].waiting.front() else {
            return Ok(());
        };
        let (mut from, mut to) = (0, self.ready.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            let other = self.streams[self.ready[middle]].waiting.front();
            let other = other.expect("a stream that is ready has a document waiting");
            if compare(execution.request, other, first)?.is_gt() {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        self.ready.insert(from, index);
        Ok(())
    }
}

impl Stream<'_, '_> {
    fn read_piece(&mut self, execution: &mut Execution<'_, '_>) -> Result<(), EngineError> {
        let Scan::Index { index, .. } = &self.leg.scan else {
            return Ok(());
        };
        let direction = self.leg.direction;
        let bytes_max = execution.reads.sort_bytes_max();
        while self.waiting.is_empty() {
            let Some(span) = self.spans.pop() else { break };
            let mut bytes = 0;
            let mut last: Option<Vec<u8>> = None;
            let mut cut_end = 0;
            let mut is_complete = true;
            let mut piece: Vec<Found> = Vec::new();
            execution
                .snapshot
                .scan_index(index.id, span.range(), direction, &mut |key, row| {
                    let cut = cut_at(key, &index.definition);
                    let is_in_run = piece.last().is_some_and(|last| {
                        last.is_cut && cut.is_some_and(|end| end == cut_end && last.key[..end] == key[..end])
                    });
                    // A run of keys with the same cut is put in order as a whole.
                    if (piece.len() >= self.piece_rows || bytes >= PIECE_BYTES) && !is_in_run {
                        is_complete = false;
                        return ControlFlow::Break(());
                    }
                    last = Some(key.to_vec());
                    let mut take = || -> Result<ControlFlow<()>, EngineError> {
                        execution.reads.entry_and_document()?;
                        let Some(data) = execution.admitted(&row, span.is_proven, false)? else {
                            // What does not belong to the result need not be in its order, so it must not take part.
                            return Ok(execution.rejected());
                        };
                        let found = Found {
                            key: key.to_vec(),
                            is_cut: cut.is_some(),
                            tail: self.tail,
                            document: KeptDocument::new(&row),
                            place: OnceCell::new(),
                        };
                        if let (None, Some(data)) = (found.ordered_key(), data) {
                            let place = Place::of(execution.request, &row, &data)?;
                            found.place.get_or_init(|| place);
                        }
                        cut_end = cut.unwrap_or_default();
                        bytes += found.document.bytes() + key.len();
                        piece.push(found);
                        if bytes > bytes_max {
                            return Err(EngineError::SortTooLarge {
                                bytes_max,
                                advice: String::new(),
                            });
                        }
                        Ok(ControlFlow::Continue(()))
                    };
                    let taken = take();
                    execution.guard(taken)
                })?;
            if let Some(failure) = execution.failure.take() {
                return Err(failure);
            }
            if let (false, Some(last)) = (is_complete, last) {
                self.spans.push(rest_after(&span, &last, direction));
            }
            self.waiting = order_runs(execution.request, piece)?.into();
            self.piece_rows = (self.piece_rows * 2).min(PIECE_ROWS_MAX);
        }
        Ok(())
    }
}

/// A piece with every run of cut keys put in order.
fn order_runs(request: &Request<'_>, mut piece: Vec<Found>) -> Result<Vec<Found>, EngineError> {
    if piece.iter().all(|found| !found.is_cut) {
        return Ok(piece);
    }
    // Keys in the right order stay where they are: the sort is stable, and they compare by their places as well.
    for found in &piece {
        found.place(request)?;
    }
    piece.sort_by(|left, right| match (left.place.get(), right.place.get()) {
        (Some(left), Some(right)) => request.compare(left, right),
        _ => Ordering::Equal,
    });
    Ok(piece)
}

impl Found {
    fn place(&self, request: &Request<'_>) -> Result<&Place, EngineError> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let row = self.document.row();
        let place = Place::of(request, &row, &data_of(&row)?)?;
        Ok(self.place.get_or_init(|| place))
    }

    /// The part of the key that tells the place, if there is one and it is not cut.
    fn ordered_key(&self) -> Option<(&[u8], bool)> {
        match self.tail {
            Some(tail) if !self.is_cut => Some((&self.key[tail.skip..], tail.is_inverted)),
            _ => None,
        }
    }
}

/// The order of two finds in the result.
fn compare(request: &Request<'_>, left: &Found, right: &Found) -> Result<Ordering, EngineError> {
    if let (Some((left, left_inverted)), Some((right, right_inverted))) =
        (left.ordered_key(), right.ordered_key())
    {
        let ordering = match (left_inverted, right_inverted) {
            (false, false) => left.cmp(right),
            (true, true) => right.cmp(left),
            (false, true) => left.iter().copied().cmp(right.iter().map(|byte| !byte)),
            (true, false) => left.iter().map(|byte| !byte).cmp(right.iter().copied()),
        };
        return Ok(request.in_wanted_direction(ordering));
    }
    Ok(request.compare(left.place(request)?, right.place(request)?))
}
