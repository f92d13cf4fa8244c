//! Queries that stand: put once by a caller, and asked again and again as documents change.
//!
//! A standing query says of a document whether it belongs to the result, and runs as a whole on a snapshot that somebody
//! else holds. It does so by the same [`Request`], planner and executor as any query: there is no second definition of a
//! result. Left out: what has become of the result since, which is the live module's.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use andiron_protocol::{DocumentPath, Filter, Query, Source};
use andiron_store::{DocumentRow, Snapshot, StoredDocument};

use super::page::{Outlet, PageBounds};
use super::planner::{self, Care};
use super::reads::Reads;
use super::request::Request;
use super::{cursor, follow, plan};
use crate::access::{Access, authorize};
use crate::engine::Shared;
use crate::indexes::{IndexManager, IndexSet};
use crate::rules::ListJudge;
use crate::{Caller, DocumentSink, EngineError};

/// A query with what the rules demand of its documents for one caller.
pub(crate) struct Standing {
    /// As it was put, but that a cursor has become the beginning of the result.
    pub(crate) query: Query,
    /// The same with whole documents.
    whole: Query,
    /// What the rules demand of every document.
    demanded: Option<Filter>,
    /// That and the query's own filter.
    joined: Option<Filter>,
    is_judged: bool,
    judges_documents: bool,
    hides_system: bool,
}

/// The documents of one run in the order of the result, and whether there were more than may be held.
struct Held {
    documents: Vec<StoredDocument>,
    bytes: usize,
    documents_max: usize,
    bytes_max: usize,
    /// Whether there are more than that.
    is_over: bool,
}

impl Held {
    fn too_large(&self) -> EngineError {
        EngineError::ListenTooLarge {
            documents_max: self.documents_max,
            bytes_max: self.bytes_max,
        }
    }
}

impl DocumentSink for Held {
    fn document(&mut self, row: DocumentRow<'_>) -> ControlFlow<()> {
        self.bytes += row.data.len();
        self.is_over = self.documents.len() >= self.documents_max || self.bytes > self.bytes_max;
        if self.is_over {
            return ControlFlow::Break(());
        }
        self.documents.document(row)
    }
}

impl Standing {
    /// Puts a query for a caller, on the state of a snapshot. The judge comes with it if the caller does not pass every
    /// rule; what it has looked up is what the answer rests on.
    ///
    /// # Errors
    /// If the query or its cursor is not valid, or the caller may not list its source.
    pub(crate) fn begin(
        shared: &Shared,
        caller: &Caller,
        query: &Query,
        snapshot: &dyn Snapshot,
    ) -> Result<(Self, Option<ListJudge>), EngineError> {
        query.check()?;
        let now = (shared.surroundings.now)();
        let permit = authorize(shared, caller, [Access::List(&query.from)], now)?;
        let mut read = |path: &DocumentPath| snapshot.get_stored(path).map_err(EngineError::from);
        let mut list = permit
            .judge()
            .map(|judge| ListJudge::begin(judge, query, &mut read))
            .transpose()?;
        let query = without_cursor(query, list.as_mut(), snapshot)?;
        let demanded = list.as_ref().and_then(|list| list.filter().cloned());
        let joined = match (&query.filter, &demanded) {
            (Some(own), Some(demanded)) => Some(Filter::And(vec![own.clone(), demanded.clone()])),
            (own, demanded) => own.as_ref().or(demanded.as_ref()).cloned(),
        };
        let standing = Self {
            whole: Query {
                select: None,
                ..query.clone()
            },
            joined,
            demanded,
            is_judged: list.as_ref().is_some_and(|list| !list.admits_all()),
            judges_documents: list.as_ref().is_some_and(ListJudge::judges_documents),
            hides_system: *caller != Caller::System && matches!(query.from, Source::Group(_)),
            query,
        };
        Ok((standing, list))
    }

    /// What the rules demand of every document, beside the query.
    pub(crate) fn demanded(&self) -> Option<&Filter> {
        self.demanded.as_ref()
    }

    /// What every document of the result matches.
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.joined.as_ref()
    }

    /// Whether each document has to be put to the judge, because the filter does not say it all.
    pub(crate) fn judges_documents(&self) -> bool {
        self.judges_documents
    }

    /// Whether documents of system collections are left out.
    pub(crate) fn hides_system(&self) -> bool {
        self.hides_system
    }

    /// Whether the result is a part of all documents that match.
    pub(crate) fn is_window(&self) -> bool {
        self.query.limit.is_some() || self.query.offset > 0
    }

    /// How many documents from the beginning (from the end, if the limit counts from there) have a part in what the result
    /// is; `None` if all that match have.
    pub(crate) fn reach(&self) -> Option<u64> {
        let limit = u64::from(self.query.limit?);
        if self.query.limit_to_last && self.query.offset > 0 {
            return None;
        }
        Some(limit + u64::from(self.query.offset))
    }

    /// The request that it is.
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            filter: self.joined.as_ref().map(Cow::Borrowed),
            is_judged: self.is_judged,
            judges_documents: self.judges_documents,
            hides_system: self.hides_system,
            ..Request::new(&self.whole)
        }
    }

    /// The documents of the whole result, in its order; or, with `reach`, so many from where it is wanted first, its own
    /// offset and limit left aside.
    ///
    /// # Errors
    /// If there are more than the limits of live queries let one hold, or a limit of queries is reached.
    pub(crate) fn run(
        &self,
        shared: &Shared,
        manager: &IndexManager,
        judge: Option<&mut ListJudge>,
        indexes: &IndexSet,
        snapshot: &dyn Snapshot,
        reach: Option<u64>,
    ) -> Result<Vec<StoredDocument>, EngineError> {
        let held = self.hold(shared, manager, judge, indexes, snapshot, reach)?;
        if held.is_over {
            return Err(held.too_large());
        }
        Ok(held.documents)
    }

    /// So many documents from where the result is wanted first, in its order, and some more if they can be held; and
    /// whether these are all that match. For queries without an offset.
    ///
    /// # Errors
    /// As [`Standing::run`].
    pub(crate) fn run_ahead(
        &self,
        shared: &Shared,
        manager: &IndexManager,
        indexes: &IndexSet,
        snapshot: &dyn Snapshot,
        (reach, more): (u64, u64),
    ) -> Result<(Vec<StoredDocument>, bool), EngineError> {
        let wanted = reach.saturating_add(more);
        let held = self.hold(shared, manager, None, indexes, snapshot, Some(wanted))?;
        let count = held.documents.len() as u64;
        if held.is_over && count < reach {
            return Err(held.too_large());
        }
        let is_all = !held.is_over && count < wanted;
        Ok((held.documents, is_all))
    }

    fn hold(
        &self,
        shared: &Shared,
        manager: &IndexManager,
        judge: Option<&mut ListJudge>,
        indexes: &IndexSet,
        snapshot: &dyn Snapshot,
        reach: Option<u64>,
    ) -> Result<Held, EngineError> {
        let request = self.request();
        let limits = &shared.options.live;
        let bounds = PageBounds {
            skip: if reach.is_some() {
                0
            } else {
                u64::from(self.query.offset)
            },
            take: reach.unwrap_or_else(|| self.query.limit.map_or(u64::MAX, u64::from)),
            looks_ahead: false,
        };
        let mut held = Held {
            documents: Vec::new(),
            bytes: 0,
            documents_max: limits.result_documents_max,
            bytes_max: limits.result_bytes_max,
            is_over: false,
        };
        if bounds.take == 0 {
            return Ok(held);
        }
        let route = planner::plan(&request, bounds.wanted(), Care::Thorough, indexes, snapshot)?;
        let mut reads = Reads::new(&shared.options.query, false, Instant::now());
        let outlet = Outlet::new(&mut held, &self.whole);
        let followed = follow(&request, &route, bounds, snapshot, judge, &mut reads, outlet);
        shared.metrics.query_reads.inc_by(reads.most());
        let returned = followed.as_ref().map_or(0, |followed| followed.returned);
        if plan::is_wasteful(&reads, returned) && !self.query.from.is_system() {
            manager.observe(&request, reads.most(), returned);
        }
        followed.map_err(|error| plan::with_advice(error, &request, indexes))?;
        route.mark_indexes_used((shared.surroundings.now)());
        Ok(held)
    }
}

/// The query with its cursor made the beginning of the result.
fn without_cursor(
    query: &Query,
    judge: Option<&mut ListJudge>,
    snapshot: &dyn Snapshot,
) -> Result<Query, EngineError> {
    let Some(text) = &query.cursor else {
        return Ok(query.clone());
    };
    let cursor = cursor::read(query, &query.normalized_order(), text)?;
    let limit = match (cursor.remaining(), query.limit) {
        (Some(remaining), Some(limit)) => Some(remaining.min(limit)),
        (remaining, limit) => remaining.or(limit),
    };
    let mut request = Request::new(query);
    if let Some(judge) = &judge {
        request.judge_by(judge);
    }
    Ok(Query {
        start: Some(cursor.position(&request, snapshot, judge)?),
        offset: 0,
        limit,
        cursor: None,
        ..query.clone()
    })
}

/// A state of the store, with the indexes that can be read in it: the set has not changed until the snapshot was there, so
/// what was complete before is complete in it, and what is dropped later was retired after it.
pub(crate) fn with_view<T>(
    shared: &Shared,
    work: impl FnOnce(&Arc<IndexSet>, &dyn Snapshot) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    loop {
        let indexes = shared.indexes.load_full();
        let snapshot = shared.store.snapshot()?;
        if shared.indexes.load().epoch() == indexes.epoch() {
            return work(&indexes, snapshot.as_ref());
        }
    }
}
