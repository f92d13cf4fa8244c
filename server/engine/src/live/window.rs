//! The window of a result that has a limit: its documents, and some more behind them which take the place of those that
//! leave, so that the query need not run again for each.
//!
//! Invariant: the rows are the first of all documents that match, in the order in which the query wants them; where nobody
//! knows what comes behind the last of them, nothing is put there.

use std::cmp::Ordering;
use std::collections::HashMap;

use andiron_protocol::{DocumentPath, Query, Version};
use andiron_store::StoredDocument;

use super::changes::{NetChange, Side, row_of};
use crate::EngineError;
use crate::query::{Place, Request, Standing, data_of};

/// Rows behind the window: half as many as the limit, within these bounds.
const SPARE_ROWS_MIN: u64 = 8;
const SPARE_ROWS_MAX: u64 = 64;
/// Larger windows keep no rows: their queries run again.
const LIMIT_MAX: u64 = 4_096;

/// The documents of a window by their paths.
pub(super) type Members = HashMap<DocumentPath, Version>;

/// How many rows a window keeps.
#[derive(Clone, Copy)]
pub(super) struct WindowSize {
    /// Rows of the result, if there are as many.
    pub(super) limit: u64,
    /// Rows behind them.
    pub(super) spare: u64,
}

impl WindowSize {
    /// The size for a query; `None` if its window keeps no rows.
    pub(super) fn of(standing: &Standing) -> Option<Self> {
        let limit = u64::from(standing.query.limit?);
        // Whether a judge lets a document be seen may change without the document.
        if limit > LIMIT_MAX || standing.query.offset > 0 || standing.judges_documents() {
            return None;
        }
        let spare = (limit / 2).clamp(SPARE_ROWS_MIN, SPARE_ROWS_MAX);
        Some(Self { limit, spare })
    }

    fn limit_rows(self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

#[derive(Clone)]
struct Row {
    place: Place,
    version: Version,
}

/// The rows.
#[derive(Clone)]
pub(super) struct Window {
    size: WindowSize,
    rows: Vec<Row>,
    /// Whether there are no others that match.
    is_all: bool,
}

/// Changes of a window's rows.
pub(super) struct Moves {
    gone: Vec<Place>,
    come: Vec<Row>,
    /// Whether the window is touched, not only what is behind it.
    pub(super) touch: bool,
}

impl Window {
    /// The rows of these documents, the first that match in the order of the result; `is_all` if there are no others.
    pub(super) fn new(
        size: WindowSize,
        request: &Request<'_>,
        documents: &[StoredDocument],
        is_all: bool,
    ) -> Result<Self, EngineError> {
        let mut rows = Vec::with_capacity(documents.len());
        for document in documents {
            let row = row_of(document);
            rows.push(Row {
                place: Place::of(request, &row, &data_of(&row)?)?,
                version: document.version,
            });
        }
        if request.is_reversed {
            rows.reverse();
        }
        Ok(Self { size, rows, is_all })
    }

    /// What changes do to the rows.
    pub(super) fn moves(&self, request: &Request<'_>, changes: &[&NetChange]) -> Result<Moves, EngineError> {
        let mut moves = Moves {
            gone: Vec::new(),
            come: Vec::new(),
            touch: false,
        };
        let end = self.rows.get(self.size.limit_rows().saturating_sub(1));
        let touches = |place: &Place| end.is_none_or(|end| request.compare(place, &end.place).is_le());
        let place_of = |side: &Side| -> Result<Option<Place>, EngineError> {
            let is_in = admits(request, side)?;
            let place =
                is_in.then(|| Place::of(request, &side.row(), side.data()?).map_err(EngineError::from));
            place.transpose()
        };
        for change in changes {
            if let Some(before) = &change.before
                && let Some(place) = place_of(before)?
            {
                moves.touch |= touches(&place);
                moves.gone.push(place);
            }
            if let Some(after) = &change.after
                && let Some(place) = place_of(after)?
            {
                moves.touch |= touches(&place);
                let version = after.document.version;
                moves.come.push(Row { place, version });
            }
        }
        Ok(moves)
    }

    /// Moves the rows; false if there are too few now to say what the result is.
    pub(super) fn apply(&mut self, request: &Request<'_>, moves: Moves) -> bool {
        // All that goes before anything comes: a document that stays where it is does both.
        for place in &moves.gone {
            if let Ok(at) = self.find(request, place) {
                self.rows.remove(at);
            }
        }
        for row in moves.come {
            if let Err(at) = self.find(request, &row.place)
                && (at < self.rows.len() || self.is_all)
            {
                self.rows.insert(at, row);
            }
        }
        let limit = self.size.limit_rows();
        let spare = usize::try_from(self.size.spare).unwrap_or(usize::MAX);
        if self.rows.len() > limit + 2 * spare {
            self.rows.truncate(limit + spare);
            self.is_all = false;
        }
        self.is_all || self.rows.len() >= limit
    }

    fn find(&self, request: &Request<'_>, place: &Place) -> Result<usize, usize> {
        let compare = |row: &Row| -> Ordering { request.compare(&row.place, place) };
        self.rows.binary_search_by(compare)
    }

    /// The documents of the result, in the order in which they are wanted.
    pub(super) fn result(&self) -> impl Iterator<Item = (&DocumentPath, Version)> {
        let rows = self.rows.iter().take(self.size.limit_rows());
        rows.map(|row| (&row.place.path, row.version))
    }

    /// The result among the documents that the rows were made of.
    pub(super) fn result_among<'d>(
        &self,
        query: &Query,
        documents: &'d [StoredDocument],
    ) -> &'d [StoredDocument] {
        let rows = self.size.limit_rows().min(documents.len());
        if query.limit_to_last {
            &documents[documents.len() - rows..]
        } else {
            &documents[..rows]
        }
    }

    /// The documents of the result by their paths.
    pub(super) fn members(&self) -> Members {
        let result = self.result();
        result.map(|(path, version)| (path.clone(), version)).collect()
    }
}

/// Whether a document as it was, or is, matches.
pub(super) fn admits(request: &Request<'_>, side: &Side) -> Result<bool, EngineError> {
    let row = side.row();
    Ok(!request.is_hidden(&row) && request.admits(&row, side.data()?)?)
}
